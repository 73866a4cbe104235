"""Calls to a Redis or Valkey server. Every error of redis-py is translated here, once.

::

    get a connection ─▶ send ─▶ read the answer
    └ nothing sent:      └──────┴ may have been executed: OutcomeUnknown,
      StoreUnavailable            unless the server says that it refused

redis-py would resend a command whose answer is lost, which hides the execution to which an answer belongs. So this
module sends each command once, on a connection from redis-py's pool.

A script that permits its caller to execute goes only to a server whose settings were just read on the same connection:
a new connection may lead to another server, and the settings of an old one may change.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from payonce.domain.errors import MisconfiguredError, OutcomeUnknown, StoreUnavailable
from payonce.extras import needs
from payonce.stores.redis_checks import Durability, ServerCheck
from payonce.stores.redis_scripts import UNTRUSTED

with needs("redis"):
    from redis import Redis, exceptions
    from redis.backoff import ExponentialBackoff
    from redis.retry import Retry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.ports import Clock
    from payonce.stores.redis_scripts import Script

# A healthy server answers in less than a millisecond. These timeouts fit several times into a request's budget.
CONNECT_TIMEOUT_SECONDS = 1
READ_TIMEOUT_SECONDS = 2
CONNECT_RETRIES = 2  # nothing has been sent yet, so a retry is harmless
CONNECT_PAUSE_SECONDS = 0.02
# Maximum age of the last check of a server's settings at a claim. The scripts themselves detect what would let a retry
# execute again (eviction, a replica); the other settings matter in a power cut, and a check is a round trip.
SETTINGS_AGE_SECONDS = 1.0

REFUSED_ERRORS = (
    exceptions.ReadOnlyError,  # from a replica, or a demoted primary
    exceptions.OutOfMemoryError,
    exceptions.AuthenticationError,
    exceptions.AuthorizationError,
    exceptions.NoPermissionError,
    exceptions.BusyLoadingError,
    exceptions.ClusterError,  # CLUSTERDOWN, MASTERDOWN
    exceptions.AskError,  # ASK, MOVED
    exceptions.TryAgainError,
)
# Codes without a class in redis-py. The server checks them before a script's first write, never after it.
REFUSED_CODES = frozenset({"BUSY", "MISCONF", "NOREPLICAS"})
# The server no longer accepts writes: look for the present primary instead of asking it again.
RECONNECT_ERRORS = (exceptions.ReadOnlyError, exceptions.BusyLoadingError, exceptions.ClusterError)


def redis_client(url: str) -> Redis:
    """Return a client with payonce's timeouts for ``redis://``, ``rediss://`` (TLS) or ``unix://``."""
    return Redis.from_url(
        url,
        protocol=2,
        socket_connect_timeout=CONNECT_TIMEOUT_SECONDS,
        socket_timeout=READ_TIMEOUT_SECONDS,
        retry=Retry(ExponentialBackoff(base=CONNECT_PAUSE_SECONDS), CONNECT_RETRIES),
    )


class RedisCalls:
    """Calls over ``client``. Thread-safe. Raises ``MisconfiguredError`` for an unusable client.

    ``check`` judges the server before a script that permits its caller to execute.
    """

    def __init__(self, client: Redis, check: ServerCheck | None = None) -> None:
        pool = getattr(client, "connection_pool", None)
        if pool is None:
            raise MisconfiguredError(
                "The Redis client has no connection pool. Give a redis.Redis of the primary; RedisCluster is not taken."
            )
        if pool.get_encoder().decode_responses:
            raise MisconfiguredError(
                "The Redis client decodes answers, and bodies are bytes: set decode_responses=False."
            )
        self._client = client
        self._pool = pool
        self._check = check
        self._checked: WeakKeyDictionary[Any, float] = WeakKeyDictionary()

    def read(self, *command: str | int) -> Any:
        """Return the answer to a read-only command. Raises ``StoreUnavailable``."""
        return self.read_all([command])[0]

    def read_all(self, commands: Sequence[tuple[str | int, ...]]) -> list[Any]:
        """Return the answers to read-only commands, in one round trip. Raises ``StoreUnavailable``."""
        try:
            return self._exchange(commands)
        except exceptions.RedisError as error:
            raise StoreUnavailable(f"The store could not be read ({_name(error)}). Retry with the same key.") from error

    def run(
        self, script: Script, keys: Sequence[str], arguments: Sequence[str | bytes | int], *, checked: bool = False
    ) -> Any:
        """Run a script once and return its answer; ``checked`` requires a server with acceptable settings.

        Raises ``StoreUnavailable`` when it was certainly not executed, ``OutcomeUnknown`` when it may have been.
        """
        try:
            try:
                return self._exchange([("EVALSHA", script.sha1, len(keys), *keys, *arguments)], checked=checked)[0]
            except exceptions.NoScriptError:  # a new server, or SCRIPT FLUSH: not executed, so send the source
                return self._exchange([("EVAL", script.source, len(keys), *keys, *arguments)], checked=checked)[0]
        except exceptions.RedisError as error:
            if str(error).startswith(UNTRUSTED):
                self.check()  # raises the reason, unless it has just been fixed
            raise _write_error(error) from error

    def check(self) -> None:
        """Check the server's settings now. Raises ``StoreUnavailable`` with what is wrong."""
        try:
            self._exchange([], checked=True, at_once=True)
        except exceptions.RedisError as error:
            raise StoreUnavailable(f"The store could not be checked ({_name(error)}). Retry.") from error

    def _exchange(
        self, commands: Sequence[tuple[str | bytes | int, ...]], *, checked: bool = False, at_once: bool = False
    ) -> list[Any]:
        try:
            connection = self._pool.get_connection()
        except exceptions.RedisError as error:
            raise NotSentError(type(error).__name__) from error
        try:
            if checked and (at_once or self._is_due(connection)):
                self._look(connection)
            return self._talk(connection, commands)
        finally:
            self._pool.release(connection)

    def _is_due(self, connection: Any) -> bool:
        return time.monotonic() - self._checked.get(connection, float("-inf")) > SETTINGS_AGE_SECONDS

    def _look(self, connection: Any) -> None:
        if self._check is None:
            return
        asked = time.monotonic()
        try:
            answers = self._talk(connection, self._check.questions, keep_errors=True)
        except exceptions.RedisError as error:
            raise NotSentError(type(error).__name__) from error
        try:
            self._check.judge(answers)
        except BaseException:
            connection.disconnect()  # the next connection may lead to the present primary
            raise
        connection.register_connect_callback(self._forget)
        self._checked[connection] = asked

    def _forget(self, connection: Any) -> None:
        """Forget the last check. redis-py calls this for a new connection, which may lead to another server."""
        self._checked.pop(connection, None)

    def _talk(
        self, connection: Any, commands: Sequence[tuple[str | bytes | int, ...]], *, keep_errors: bool = False
    ) -> list[Any]:
        """Return the answers; ``keep_errors`` returns one command's refusal as its answer."""
        if not commands:
            return []
        unanswered = len(commands)
        answers: list[Any] = []
        try:
            connection.send_packed_command(connection.pack_commands(commands))
            for command in commands:
                unanswered -= 1  # an error is an answer too
                try:
                    answers.append(self._client.parse_response(connection, str(command[0])))  # type: ignore[no-untyped-call]
                except exceptions.ResponseError as error:
                    if not keep_errors:
                        raise
                    answers.append(error)
            return answers
        except BaseException as error:
            # A late answer must not be taken for the next command's.
            if unanswered or not isinstance(error, exceptions.ResponseError) or isinstance(error, RECONNECT_ERRORS):
                connection.disconnect()
            raise


class NotSentError(exceptions.RedisError):
    """There was no connection to send on, so nothing was sent."""


def _write_error(error: exceptions.RedisError) -> StoreUnavailable | OutcomeUnknown:
    """Distinguish "certainly not written" from "may have been written". Any doubt is the latter."""
    if isinstance(error, NotSentError):
        return StoreUnavailable(f"The store could not be reached ({_name(error)}); nothing was written. Retry.")
    if isinstance(error, REFUSED_ERRORS) or str(error).split(" ", 1)[0] in REFUSED_CODES | {UNTRUSTED}:
        return StoreUnavailable(f"The store refused the write ({_name(error)}); nothing was written. Retry.")
    return OutcomeUnknown("The store did not confirm the write. Retry with the same key: nothing happens twice.")


def _name(error: exceptions.RedisError) -> str:
    """Return the loggable name of an error: redis-py's class, or the server's code where it has no class."""
    if isinstance(error, NotSentError):
        return str(error)
    name = type(error).__name__
    return str(error).split(" ", 1)[0] if name == "ResponseError" else name


def check_redis(client: Redis, clock: Clock, *, at_least: Durability = Durability.ALWAYS) -> None:
    """Return if the server may keep claims, by the rules of ``ServerCheck``.

    Raises ``MisconfiguredError`` if not, and ``StoreUnavailable``, which names the address, when it does not answer.
    """
    check = _StartUpCheck(clock, at_least)
    try:
        RedisCalls(client, check).check()
    except StoreUnavailable as error:
        # Only here: later errors may reach the clients of a service, whom its servers' addresses do not concern.
        at = client.connection_pool.connection_kwargs
        address = at.get("path") or f"{at.get('host', 'localhost')}:{at.get('port', 6379)}"
        raise StoreUnavailable(f"{error.detail} Does Redis or Valkey listen at {address}?") from error


class _StartUpCheck(ServerCheck):
    """For start-up: nothing is served yet, so a wrong setting ends the process."""

    def judge(self, answers: Sequence[Any]) -> None:
        wrong = self.what_is_wrong(answers)
        if wrong:
            raise MisconfiguredError(wrong)
