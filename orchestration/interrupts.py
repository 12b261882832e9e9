"""Ctrl-C, noticed whoever handles it.

Dagster puts its own handler in the place of Python's, raises a class of its own, and forgets a signal that comes
between two steps; DuckDB makes a `RuntimeError` of it. The kernel's note to a pipe is not lost on the way.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Final

_STOPPING: Final = frozenset({signal.SIGINT, signal.SIGTERM})  # Dagster gives both one handler


@contextlib.contextmanager
def noticed_interrupts() -> Iterator[Callable[[], bool]]:
    """Inside the block, the yielded function says whether this process was told to stop since the block began.

    A block inside another one hands on what it received.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False  # signals are the main thread's
        return
    received: set[int] = set()
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    outer = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)

    def was_interrupted() -> bool:
        with contextlib.suppress(BlockingIOError):
            received.update(os.read(reading, 4096))
        return not received.isdisjoint(_STOPPING)

    try:
        yield was_interrupted
    finally:
        signal.set_wakeup_fd(outer)
        if was_interrupted() and outer != -1:
            os.write(outer, bytes(received))
        os.close(reading)
        os.close(writing)


@contextlib.contextmanager
def raised_as_keyboard_interrupt() -> Iterator[None]:
    """Whatever an interrupt of the block became, or if it became nothing, it leaves as `KeyboardInterrupt`."""
    with noticed_interrupts() as was_interrupted:
        try:
            yield
        except BaseException as error:
            if was_interrupted():
                raise KeyboardInterrupt from error
            raise
        if was_interrupted():
            raise KeyboardInterrupt
