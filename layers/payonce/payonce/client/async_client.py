"""The client for asyncio: one method for each operation of the API."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Self

from payonce.client import errors
from payonce.client.api.async_calls import AsyncCalls
from payonce.client.backoff import Backoff
from payonce.client.call import Answer
from payonce.client.intents import IntentKey
from payonce.client.settings import (
    DEFAULT_ATTEMPT_TIMEOUT_SECONDS,
    DEFAULT_TIMEOUT_SECONDS,
    DEFAULT_TIMING,
    MAX_ANSWER_BYTES,
    BrokenAnswer,
    Settings,
    checked_api_key,
    checked_base_url,
    own_client,
    raw_answer,
    reason_of,
)
from payonce.extras import needs

with needs("client"):
    import httpx

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from payonce.client.answers import Raw
    from payonce.client.attempts import Attempts, Timing
    from payonce.client.call import Call
    from payonce.client.intents import IntentKeys

_log = logging.getLogger("payonce.client")


class AsyncClient(AsyncCalls):
    """Calls payonce at ``base_url`` with ``api_key``. For asyncio.

    ``intents``: a ``Journal`` or ``DerivedKeys``, for calls with an ``intent``. ``http``: an ``httpx.AsyncClient`` of
    yours, for proxies, certificates and connection limits; it is not closed. ``timeout_seconds`` limits a call with all
    its attempts (``None``: for ever), ``attempt_timeout_seconds`` each. Raises ``Misused`` for wrong settings.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        intents: IntentKeys | None = None,
        http: httpx.AsyncClient | None = None,
        timeout_seconds: float | None = DEFAULT_TIMEOUT_SECONDS,
        attempt_timeout_seconds: float = DEFAULT_ATTEMPT_TIMEOUT_SECONDS,
        backoff: Backoff | None = None,
        timing: Timing = DEFAULT_TIMING,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._settings = Settings(
            base_url=checked_base_url(base_url),
            authorization=checked_api_key(api_key),
            intents=intents,
            timeout_seconds=timeout_seconds,
            attempt_timeout_seconds=attempt_timeout_seconds,
            backoff=backoff or Backoff(),
            timing=timing,
            own_http=http is None,
        )
        self._http = http or own_client(httpx.AsyncClient)
        self._sleep = sleep

    def __repr__(self) -> str:
        return f"AsyncClient({self._settings.base_url!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections, unless the httpx client is the caller's."""
        if self._settings.own_http:
            await self._http.aclose()

    async def _read(self, call: Call, options: Mapping[str, Any]) -> Any:
        return (await self._run(self._settings.begin(call, IntentKey(""), options))).data

    async def _write(self, call: Call, options: Mapping[str, Any]) -> Answer[Any]:
        # The journal waits for the disk, in a thread, so that other tasks go on.
        key = await asyncio.to_thread(self._settings.key_of, call, options)
        attempts = self._settings.begin(call, key, options)
        try:
            answer = await self._run(attempts)
        except errors.ClientError as error:
            await self._end(attempts, error)
            raise
        await self._end(attempts, None)
        return answer

    async def _run(self, attempts: Attempts) -> Answer[Any]:
        while True:
            try:
                raw = await self._exchange(attempts)
            except (httpx.HTTPError, BrokenAnswer, TimeoutError) as error:
                wait = attempts.failed(reason_of(error), sent=self._settings.was_sent(error))
            else:
                told = attempts.answered(raw)
                if isinstance(told, Answer):
                    return told
                wait = told
            await self._sleep(wait)

    async def _exchange(self, attempts: Attempts) -> Raw:
        request = self._settings.request(attempts)
        # httpx limits each read alone; an answer that drips in would take longer than its attempt may.
        async with asyncio.timeout(request["timeout"]), self._http.stream(**request) as response:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    raise BrokenAnswer(f"the answer did not end within {len(body)} bytes")
        return raw_answer(response, bytes(body))

    async def _end(self, attempts: Attempts, error: errors.ClientError | None) -> None:
        try:
            await asyncio.to_thread(self._settings.end, attempts, error)
        except errors.JournalUnusable as unusable:
            # The answer is known and worth more than the journal's note of it: the intent stays open, and a repetition
            # gets the same answer.
            _log.warning("%s: %s", attempts.call.operation.name, unusable)
