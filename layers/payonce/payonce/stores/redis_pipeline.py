"""Calls to Redis from fibers: all share one connection, and none waits for another's answer before it is sent.

::

    fiber 1  ─ EVALSHA ─┐ one write for what one turn of the loop has queued      ┌─▶ fiber 1
    fiber 2  ─ EVALSHA ─┴───────▶ one connection ─── answers in order of commands ┴─▶ fiber 2

A connection that is lost, or on which an answer is late, ends with it every call that has been sent and not answered:
each of them may have been executed. redis-py makes the connection (address, TLS, password, database), and hiredis
writes commands and reads answers (https://redis.io/docs/latest/develop/reference/protocol-spec).
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from payonce import fibers
from payonce.extras import needs
from payonce.stores.redis_calls import (
    CONNECT_PAUSE_SECONDS,
    CONNECT_RETRIES,
    CONNECT_TIMEOUT_SECONDS,
    READ_TIMEOUT_SECONDS,
    RECONNECT_ERRORS,
    SETTINGS_AGE_SECONDS,
    NotSentError,
    RedisCalls,
)

with needs("sidecar"):
    import hiredis
    from redis import asyncio as redis_asyncio
    from redis import exceptions
    from redis.asyncio.retry import Retry
    from redis.backoff import ExponentialBackoff
    from redis.connection import DefaultParser

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from redis import Redis

    from payonce.stores.redis_checks import ServerCheck

    type Command = tuple[str | bytes | int, ...]


@dataclass(slots=True)
class _Call:
    """Commands that were sent together, and their answers so far."""

    commands: Sequence[Command]
    reply: fibers.Reply[list[Any]]
    give_up_at: float  # by the loop's clock
    answers: list[Any] = field(default_factory=list)


class _Pipeline(asyncio.Protocol):
    """One connection. ``open`` until it is lost, fails or is ``retired``."""

    def __init__(self, writer: asyncio.StreamWriter, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._writer = writer  # held: a writer that is forgotten closes its transport
        self._transport = writer.transport
        self._transport.set_protocol(self)
        self._reader = hiredis.Reader(protocolError=exceptions.InvalidResponse, replyError=DefaultParser.parse_error)
        self._unsent: list[_Call] = []
        self._waiting: deque[_Call] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self.open = True
        self.checked_at = float("-inf")
        self.check: asyncio.Future[None] | None = None

    def call(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands with all that this turn of the loop has to send; return their answers, errors among them."""
        call = _Call(commands, fibers.Reply(), self._loop.time() + READ_TIMEOUT_SECONDS)
        if not self._unsent:
            self._loop.call_soon(self._send)
        self._unsent.append(call)
        return call.reply.wait()

    def retire(self) -> None:
        """Take no more calls, and end once those that are under way are answered."""
        self.open = False
        if not self._waiting and not self._unsent:
            self._transport.abort()

    def _send(self) -> None:
        calls, self._unsent = self._unsent, []
        if self._transport.is_closing():
            _fail(calls, NotSentError("ConnectionError"))
            return
        self._waiting.extend(calls)
        self._transport.write(b"".join(_packed(command) for call in calls for command in call.commands))
        if self._timer is None:
            self._timer = self._loop.call_at(self._waiting[0].give_up_at, self._late)

    def data_received(self, data: bytes) -> None:
        """Hand the answers to those that wait for them."""
        self._reader.feed(data)
        try:
            while (answer := self._reader.gets()) is not False:  # incomplete; this protocol has no booleans
                call = self._waiting[0]
                call.answers.append(answer)
                if len(call.answers) == len(call.commands):
                    self._waiting.popleft()
                    call.reply.put(call.answers)
        except (exceptions.InvalidResponse, IndexError):
            self._end(exceptions.InvalidResponse("an answer that is none, or that nobody has asked for"))
        if not self.open and not self._waiting and not self._unsent:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """End every call without an answer: it may have been executed."""
        self._end(exceptions.ConnectionError(type(exc).__name__ if exc else "closed by the server"))

    def _late(self) -> None:
        self._timer = None
        if not self._waiting:
            return
        if self._waiting[0].give_up_at > self._loop.time():
            self._timer = self._loop.call_at(self._waiting[0].give_up_at, self._late)
        else:
            self._end(exceptions.TimeoutError("no answer in time"))

    def _end(self, error: Exception) -> None:
        self.open = False
        self._transport.abort()
        if self._timer is not None:
            self._timer.cancel()
        waiting, self._waiting = self._waiting, deque()
        _fail(waiting, error)


class FiberRedisCalls(RedisCalls):
    """``RedisCalls`` for fibers of one event loop, to the server at ``url``."""

    def __init__(self, url: str, client: Redis, check: ServerCheck | None = None) -> None:
        super().__init__(client, check)
        self._url = url
        self._pipeline: _Pipeline | None = None
        self._connecting: asyncio.Task[_Pipeline] | None = None

    def close(self) -> None:
        """Close the connection, once what is under way is answered."""
        if self._pipeline is not None:
            self._pipeline.retire()

    def _exchange(self, commands: Sequence[Command], *, checked: bool = False, at_once: bool = False) -> list[Any]:
        pipeline = self._checked_pipeline(at_once=at_once) if checked else self._connected()
        return self._answers(pipeline, commands) if commands else []

    def _checked_pipeline(self, *, at_once: bool) -> _Pipeline:
        """Return a connection to a server whose settings were just read on it, and are acceptable."""
        asked = asyncio.get_running_loop().time()
        while True:
            pipeline = self._connected()
            oldest = asked if at_once else asyncio.get_running_loop().time() - SETTINGS_AGE_SECONDS
            if self._check is None or pipeline.checked_at >= oldest:
                return pipeline
            self._look_once(pipeline)

    def _look_once(self, pipeline: _Pipeline) -> None:
        """Check the server's settings, or wait for the fiber that does so."""
        if pipeline.check is not None:
            fibers.wait(pipeline.check)
            return
        loop = asyncio.get_running_loop()
        looking, asked = loop.create_future(), loop.time()
        pipeline.check = looking
        try:
            self._look_at(pipeline)
        except BaseException as error:
            looking.set_exception(error)  # whoever waits asked no later, and gets the same verdict
            raise looking.exception() or error from None
        finally:
            pipeline.check = None
        pipeline.checked_at = asked
        looking.set_result(None)

    def _look_at(self, pipeline: _Pipeline) -> None:
        assert self._check is not None  # noqa: S101 - narrows the type
        try:
            answers = self._answers(pipeline, self._check.questions, keep_errors=True)
        except exceptions.RedisError as error:
            raise NotSentError(type(error).__name__) from error
        try:
            self._check.judge(answers)
        except BaseException:
            pipeline.retire()  # the next connection may lead to the present primary
            raise

    def _answers(self, pipeline: _Pipeline, commands: Sequence[Command], *, keep_errors: bool = False) -> list[Any]:
        answers = pipeline.call(commands)
        errors = [answer for answer in answers if isinstance(answer, exceptions.ResponseError | exceptions.RedisError)]
        if any(isinstance(error, RECONNECT_ERRORS) for error in errors):
            pipeline.retire()
        if errors and not keep_errors:
            raise errors[0]
        return [self._read(str(command[0]), answer) for command, answer in zip(commands, answers, strict=True)]

    def _read(self, name: str, answer: Any) -> Any:
        callback = None if isinstance(answer, Exception) else self._client.response_callbacks.get(name)  # type: ignore[no-untyped-call]
        return answer if callback is None else callback(answer)

    def _connected(self) -> _Pipeline:
        if self._pipeline is not None and self._pipeline.open:
            return self._pipeline
        if self._connecting is None:
            self._connecting = asyncio.get_running_loop().create_task(self._connect())
            self._connecting.add_done_callback(self._connection_made)
        try:
            return fibers.wait(self._connecting)
        except exceptions.RedisError as error:
            raise NotSentError(type(error).__name__) from error

    def _connection_made(self, made: asyncio.Task[_Pipeline]) -> None:
        self._connecting = None
        if not made.cancelled() and made.exception() is None:
            self._pipeline = made.result()

    async def _connect(self) -> _Pipeline:
        pool = redis_asyncio.ConnectionPool.from_url(
            self._url,
            protocol=2,
            socket_connect_timeout=CONNECT_TIMEOUT_SECONDS,
            socket_timeout=READ_TIMEOUT_SECONDS,
            retry=Retry(ExponentialBackoff(base=CONNECT_PAUSE_SECONDS), CONNECT_RETRIES),
        )
        connection: Any = pool.make_connection()  # type: ignore[no-untyped-call]
        await connection.connect()
        # From here on the connection is ours: redis-py would match one answer to one reader at a time.
        writer, connection._writer, connection._reader = connection._writer, None, None
        return _Pipeline(writer, asyncio.get_running_loop())


def _packed(command: Command) -> bytes:
    """Return a command as it is sent. Its name may be two words (CONFIG GET)."""
    name, *arguments = command
    words = name.split() if isinstance(name, str) else (name,)
    packed: bytes = hiredis.pack_command((*words, *arguments))
    return packed


def _fail(calls: Iterable[_Call], error: Exception) -> None:
    for call in calls:
        call.reply.fail(error)
