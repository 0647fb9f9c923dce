"""When the JSON files are brought up to date."""

from __future__ import annotations

import os
import threading
import time
import warnings
from typing import Literal

from ._errors import AralStoreError, Closed
from ._store import Store

MirrorMode = Literal["always", "auto", "close", "never"]

#: Up to so many conversations, and messages and actions in the one that was saved, ``"auto"`` writes at once.
_FEW_CONVERSATIONS = 100
_FEW_ITEMS = 100
#: Otherwise so many seconds after a save, or so many times what writing last took, but not after so many seconds.
_SOON = 0.5
_TIMES = 20.0
_AT_LAST = 30.0
#: Earlier once this share of what was written last time has been added to the log, and so many bytes.
_SHARE = 0.25
_MANY_BYTES = 1 << 20


class Mirror:
    """Compacts a store when its mode says so.

    A mutation that is durable in the log is not undone because a JSON file could not be written: that is warned of, tried
    again with the next save, and raised by ``close``.
    """

    def __init__(self, store: Store, mode: MirrorMode) -> None:
        self._store = store
        self._mode = mode
        self._pid = os.getpid()
        self._is_small = True
        self._changed = threading.Condition(threading.RLock())
        self._thread: threading.Thread | None = None
        self._ends = False
        #: Whether anything was saved that no writing has begun for since, how many bytes, and the first of it when.
        self._is_due = False
        self._bytes = 0
        self._since = 0.0
        #: What the last writing took.
        self._took_seconds = 0.0
        self._took_bytes = 0
        if mode in ("always", "auto") and store.stats().dirty_conversations:
            self._write()

    def saved(self, *ids: str, bytes: int = 0) -> None:
        """Conversations were saved, which added about so many bytes to the log."""
        if self._mode == "always" or (self._mode == "auto" and self._is_quick(ids)):
            self._write()
        elif self._mode == "auto":
            self._write_soon(bytes)

    def close(self) -> None:
        """Writes what has not been written yet, unless that is to be never."""
        with self._changed:
            self._ends = True
            self._changed.notify_all()
        if self._mode != "never" and self._store.stats().dirty_conversations:
            self._store.compact()

    def end(self) -> None:
        """Does the same for a store that nobody has closed; there is nobody to hear of a failure but by a warning."""
        if os.getpid() != self._pid or self._store.is_closed:
            return
        try:
            self.close()
        except Closed:
            pass
        except AralStoreError as error:
            _warn(error)

    def _is_quick(self, ids: tuple[str, ...]) -> bool:
        # Counting conversations costs what there are many of, so a store that was large once counts as large.
        self._is_small = self._is_small and len(self._store) <= _FEW_CONVERSATIONS
        if not self._is_small:
            return False
        summaries = [self._store.summary(id) for id in ids]
        return sum(each.messages + each.actions for each in summaries if each is not None) <= _FEW_ITEMS

    def _write_soon(self, bytes: int) -> None:
        with self._changed:
            if not self._is_due:
                self._is_due, self._since = True, time.monotonic()
            self._bytes += bytes
            if self._thread is None:
                self._thread = threading.Thread(target=self._write_later, name="aral-store-mirror", daemon=True)
                self._thread.start()
            elif self._has_many_bytes():
                self._changed.notify_all()

    def _has_many_bytes(self) -> bool:
        return self._bytes >= max(_MANY_BYTES, self._took_bytes * _SHARE)

    def _write_later(self) -> None:
        """Writes as often as there is something due, then ends: a store that is not used has no thread."""
        while True:
            with self._changed:
                at = self._since + min(max(_SOON, self._took_seconds * _TIMES), _AT_LAST)
                while not self._ends and not self._has_many_bytes():
                    left = at - time.monotonic()
                    if left <= 0:
                        break
                    self._changed.wait(left)
                if self._ends or not self._is_due:
                    self._thread = None
                    return
                self._is_due, self._bytes = False, 0
            self._write()
            with self._changed:
                if not self._is_due:
                    self._thread = None
                    return

    def _write(self) -> None:
        begun = time.monotonic()
        try:
            self._took_bytes = self._store.compact().written_bytes
        except Closed:
            # The thread was under way while the store was closed, which wrote the files itself.
            pass
        except AralStoreError as error:
            _warn(error)
        self._took_seconds = time.monotonic() - begun


def _warn(error: AralStoreError) -> None:
    warnings.warn(f"saved, but the JSON files are not up to date: {error}", RuntimeWarning, stacklevel=5)
