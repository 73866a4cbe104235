"""An event loop in a thread of its own, whose fibers tests call like blocking code."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from payonce import fibers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class FiberLoop:
    """Runs work in fibers of one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop

    def call[T](self, work: Callable[[], T]) -> T:
        """Return the result of ``work``, run in a fiber, or raise its error."""

        async def run() -> T:
            return await fibers.start(work)

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result()

    def port[T](self, port: T) -> T:
        """Return ``port`` for threads: each call of a method is made in a fiber."""
        return cast("T", _InFibers(port, self))


class _InFibers:
    def __init__(self, port: object, loop: FiberLoop) -> None:
        self._port = port
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        return lambda *arguments, **named: self._loop.call(lambda: method(*arguments, **named))


@contextmanager
def fiber_loop() -> Iterator[FiberLoop]:
    """Run a loop, and end it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield FiberLoop(loop)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
