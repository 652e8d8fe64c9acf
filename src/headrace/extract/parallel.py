"""Where items are computed besides the main thread: a pool of threads, and an event loop on a thread of its own."""

from __future__ import annotations

import contextvars
import queue
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

END: Any = object()
"""What fetching from an iterator gives when there is nothing more."""


class Workers:
    """Runs functions in threads and awaitables on an event loop; both are started when first needed.

    Args:
        workers: How many threads.
    """

    def __init__(self, workers: int) -> None:
        self._workers = max(1, workers)
        self._pool: ThreadPoolExecutor | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._done: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()

    def call(self, f: Callable[..., Any], *args: Any) -> Future[Any]:
        """Run a function in a thread, under the context variables of the caller."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="headrace-extract")
        return self._watch(self._pool.submit(contextvars.copy_context().run, f, *args))

    def schedule(self, awaitable: Awaitable[Any]) -> Future[Any]:
        """Await something on the event loop, under the context variables of the caller."""
        import asyncio

        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="headrace-extract-loop", daemon=True)
            self._thread.start()
        return self._watch(asyncio.run_coroutine_threadsafe(_wait_for(awaitable), self._loop))

    def fetch(self, iterator: Iterator[Any]) -> Future[Any]:
        """Draw the next item of a generator in a thread; `END` when there is none."""
        return self.call(next, iterator, END)

    def fetch_async(self, iterator: AsyncIterator[Any]) -> Future[Any]:
        """Draw the next item of an async generator on the loop; `END` when there is none."""
        return self.schedule(_fetch(iterator))

    def close_async(self, iterator: Any) -> None:
        """Close an async generator on the loop it ran on, and wait for it."""
        close = getattr(iterator, "aclose", None)
        if close is not None and self._loop is not None:
            import asyncio

            asyncio.run_coroutine_threadsafe(_wait_for(close()), self._loop).result()

    def _watch(self, future: Future[Any]) -> Future[Any]:
        future.add_done_callback(self._done.put)
        return future

    def finished(self, timeout: float | None) -> Future[Any] | None:
        """A future that is done; waits for one up to ``timeout`` seconds (0: not at all, None: for ever)."""
        try:
            if timeout == 0:
                return self._done.get_nowait()
            return self._done.get(timeout=timeout)
        except queue.Empty:
            return None

    def close(self, iterators: Sequence[Any] = ()) -> None:
        """Give up what was not started, wait for what was, and end the threads.

        Args:
            iterators: Async generators that did not come to their end; they are closed on the loop.
        """
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None
        if self._loop is not None and self._thread is not None:
            import asyncio

            asyncio.run_coroutine_threadsafe(_wind_up(iterators), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            self._loop = self._thread = None


async def _wait_for(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


async def _fetch(iterator: AsyncIterator[Any]) -> Any:
    try:
        return await iterator.__anext__()
    except StopAsyncIteration:
        return END


async def _wind_up(iterators: Sequence[Any]) -> None:
    import asyncio

    tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    closing = [iterator.aclose() for iterator in iterators if hasattr(iterator, "aclose")]
    await asyncio.gather(*closing, return_exceptions=True)
