"""Work done ahead in threads, for two cores: Arrow and numpy release Python's lock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class Ahead(Iterator[T]):
    """The items, each made in a thread while the one before it is used; the first is started at
    once."""

    def __init__(self, items: Iterator[T]) -> None:
        self._items = items
        self._pool = ThreadPoolExecutor(1)
        self._coming = self._pool.submit(next, items, None)

    def __next__(self) -> T:
        try:
            item = self._coming.result()
        except BaseException:
            self._pool.shutdown()
            raise
        if item is None:
            self._pool.shutdown()
            raise StopIteration
        self._coming = self._pool.submit(next, self._items, None)
        return item

    def close(self) -> None:
        """Waits for the item that is being made, and drops it."""
        self._pool.shutdown(cancel_futures=True)


class Behind:
    """Calls made one after the other in a thread, at most one of them waiting; a context manager,
    which ends when all are done. An exception of a call comes out at the next, or at the end."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._last: Future[None] | None = None

    def call(self, work: Callable[[], None]) -> None:
        self.wait()
        self._last = self._pool.submit(work)

    def wait(self) -> None:
        """Waits until the last call is done, and raises its exception."""
        last, self._last = self._last, None
        if last is not None:
            last.result()

    def __enter__(self) -> Behind:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.wait()
        finally:
            self._pool.shutdown()
