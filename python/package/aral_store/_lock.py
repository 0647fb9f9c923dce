"""A lock that no process waits for in vain."""

from __future__ import annotations

import os
import threading
from types import TracebackType

from ._errors import Forked


class Lock:
    """A lock that can be taken again by the thread that has it.

    In a process that was forked off while another thread had it, it would never be let go of. There it is refused, if
    what it guards may not be used there, and made anew otherwise.
    """

    def __init__(self, *, survives_fork: bool) -> None:
        self._survives_fork = survives_fork
        self._pid = os.getpid()
        self._lock = threading.RLock()

    def check(self) -> None:
        """Raises :class:`Forked` where taking the lock would, without taking it."""
        if self._pid != os.getpid() and not self._survives_fork:
            raise Forked.here(self._pid)

    def __enter__(self) -> None:
        pid = os.getpid()
        if self._pid != pid:
            self.check()
            self._pid, self._lock = pid, threading.RLock()
        self._lock.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lock.release()
