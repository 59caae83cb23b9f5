"""SIGTERM and Ctrl-C end a command as an error does: its locks and files are released."""

from __future__ import annotations

import select
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(SystemExit):
    """A signal stopped the process. The exit code is a shell's: 143 after SIGTERM, 130 after
    Ctrl-C; ``number`` is the signal's, ``left`` a line on what is left to do."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.number = number
        self.left = ""


# The interpreter writes the number of each signal here, also of those that a library handles.
_numbers: socket.socket | None = None
_callbacks: list[Callable[[], None]] = []


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """While the block runs, SIGTERM and Ctrl-C raise Stopped in the main thread, or at the end of
    the block where a library handled the signal. A second signal ends the process at once."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    with _listening():
        try:
            for number in SIGNALS:
                signal.signal(number, _stop)
            try:
                yield
            except SystemExit as end:
                # a command ends with SystemExit, also one whose server handled the signal
                if not isinstance(end, Stopped):
                    raise_if_stopped()
                raise
            raise_if_stopped()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def raise_if_stopped() -> None:
    """Raises Stopped where a signal came that a library handled: Dagster fails the run under way,
    and returns."""
    if _numbers is not None and select.select([_numbers], [], [], 0)[0]:
        for number in _numbers.recv(4096, socket.MSG_PEEK):
            if number in SIGNALS:
                _stop(number, None)


@contextmanager
def when_stopped(callback: Callable[[], None]) -> Iterator[None]:
    """While the block runs, a signal also calls ``callback`` in another thread, whichever library
    handles the signal. It stops work that the main thread waits for."""
    with _listening():
        _callbacks.append(callback)
        try:
            yield
        finally:
            _callbacks.remove(callback)


@contextmanager
def what_is_left(line: str) -> Iterator[None]:
    """Sets ``left`` to ``line`` on a Stopped that leaves the block, unless it is set."""
    try:
        yield
    except Stopped as stopped:
        stopped.left = stopped.left or line
        raise


def _stop(number: int, frame: FrameType | None) -> None:
    # releasing may take long: a second signal ends the process at once
    for each in SIGNALS:
        signal.signal(each, signal.SIG_DFL)
    raise Stopped(number)


@contextmanager
def _listening() -> Iterator[None]:
    global _numbers
    # only the main thread gets signals; a block around this one may listen already
    if _numbers is not None or threading.current_thread() is not threading.main_thread():
        yield
        return
    _numbers, written = socket.socketpair()
    written.setblocking(False)
    before = signal.set_wakeup_fd(written.fileno(), warn_on_full_buffer=False)
    listener = threading.Thread(target=_listen, args=(_numbers,), name="signals", daemon=True)
    listener.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        written.close()
        listener.join()
        _numbers.close()
        _numbers = None


def _listen(numbers: socket.socket) -> None:
    # the first of SIGNALS stays in the socket, for raise_if_stopped; others are dropped
    while read := numbers.recv(1, socket.MSG_PEEK):
        if read[0] in SIGNALS:
            for callback in tuple(_callbacks):
                callback()
            return
        numbers.recv(1)
