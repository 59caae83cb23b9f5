"""Work done ahead in threads, for two cores: Arrow and numpy release Python's lock."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class _Worker(Generic[T]):
    """A thread that makes one call after the other; it ends with ``end``, or when nobody has the
    worker any more.

    Python's futures are not used: a signal that comes while one of their locks is being taken
    leaves it taken, and the process never ends. A simple queue has no lock of Python's.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[Callable[[], T] | None] = SimpleQueue()
        self._results: SimpleQueue[tuple[list[T], BaseException | None]] = SimpleQueue()
        self._thread = threading.Thread(
            target=_make_calls, args=(self._calls, self._results), daemon=True
        )
        self._thread.start()
        weakref.finalize(self, self._calls.put, None)

    def start(self, call: Callable[[], T]) -> None:
        self._calls.put(call)

    def result(self) -> T:
        """Waits for the oldest call whose result was not taken yet; raises its exception."""
        made, error = self._results.get()
        if error is not None:
            raise error
        return made[0]

    def end(self) -> None:
        """Waits for the calls that were started, and ends the thread."""
        self._calls.put(None)
        self._thread.join()


def _make_calls(
    calls: SimpleQueue[Callable[[], T] | None],
    results: SimpleQueue[tuple[list[T], BaseException | None]],
) -> None:
    while (call := calls.get()) is not None:
        try:
            results.put(([call()], None))
        except BaseException as error:  # noqa: BLE001 raised by result()
            results.put(([], error))


class Ahead(Iterator[T]):
    """The items, each made in a thread while the one before it is used; the first is started at
    once."""

    def __init__(self, items: Iterator[T]) -> None:
        # the thread must not refer to this object, so that it ends with it
        self._make: Callable[[], T | None] = partial(next, items, None)
        self._worker: _Worker[T | None] = _Worker()
        self._worker.start(self._make)

    def __next__(self) -> T:
        try:
            item = self._worker.result()
        except BaseException:
            self._worker.end()
            raise
        if item is None:
            self._worker.end()
            raise StopIteration
        self._worker.start(self._make)
        return item

    def close(self) -> None:
        """Waits for the item that is being made, and drops it."""
        self._worker.end()


class Behind:
    """Calls made one after the other in a thread, at most one of them waiting; a context manager,
    which ends when all are done. An exception of a call comes out at the next, or at the end."""

    def __init__(self) -> None:
        self._worker: _Worker[None] = _Worker()
        self._waiting = False

    def call(self, work: Callable[[], None]) -> None:
        self.wait()
        self._worker.start(work)
        self._waiting = True

    def wait(self) -> None:
        """Waits until the last call is done, and raises its exception."""
        waiting, self._waiting = self._waiting, False
        if waiting:
            self._worker.result()

    def __enter__(self) -> Behind:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.wait()
        finally:
            self._worker.end()
