"""SIGTERM and Ctrl-C end a command as an error would: what it holds is let go on the way out."""

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
    """The process was asked to end. Its exit code is a shell's: 143 after SIGTERM, 130 after
    Ctrl-C; ``left`` says what is left to do."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.left = ""


# Where the interpreter writes the number of each signal, also of those that a library handles.
_numbers: socket.socket | None = None
_calls: list[Callable[[], None]] = []


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """While the block runs, SIGTERM and Ctrl-C raise Stopped in the main thread, or at the end of
    the block where a library took the signal for its own. A second one ends the process at once."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    with _listening():
        try:
            for number in SIGNALS:
                signal.signal(number, _stop)
            try:
                yield
            except SystemExit as end:
                # so ends a command, also one whose server took the signal for its own
                if not isinstance(end, Stopped):
                    raise_if_stopped()
                raise
            raise_if_stopped()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def raise_if_stopped() -> None:
    """Raises Stopped where a signal came that a library took for its own: Dagster fails the run
    that is under way, and returns."""
    if _numbers is not None and select.select([_numbers], [], [], 0)[0]:
        for number in _numbers.recv(4096, socket.MSG_PEEK):
            if number in SIGNALS:
                _stop(number, None)


@contextmanager
def when_stopped(call: Callable[[], None]) -> Iterator[None]:
    """While the block runs, one of the signals also makes this call, in another thread and whoever
    handles the signal: it ends work of other threads that the main one does not see to just now."""
    with _listening():
        _calls.append(call)
        try:
            yield
        finally:
            _calls.remove(call)


@contextmanager
def what_is_left(line: str) -> Iterator[None]:
    """Says what is left to do when the block is stopped."""
    try:
        yield
    except Stopped as stopped:
        stopped.left = stopped.left or line
        raise


def _stop(number: int, frame: FrameType | None) -> None:
    # the way out may take long: whoever asks again does not want to wait for it
    for each in SIGNALS:
        signal.signal(each, signal.SIG_DFL)
    raise Stopped(number)


@contextmanager
def _listening() -> Iterator[None]:
    global _numbers
    # signals are the main thread's; there may be a block around this one that listens
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
    # the first signal to end the process stays, for raise_if_stopped; others are dropped
    while read := numbers.recv(1, socket.MSG_PEEK):
        if read[0] in SIGNALS:
            for call in tuple(_calls):
                call()
            return
        numbers.recv(1)
