"""When the JSON files are brought up to date."""

from __future__ import annotations

import threading
import warnings
from typing import Literal

from ._errors import AralStoreError, Closed
from ._store import Store

MirrorMode = Literal["always", "auto", "close", "never"]

#: Up to so many conversations, and messages and actions in the one that was saved, ``"auto"`` writes at once.
_FEW_CONVERSATIONS = 100
_FEW_ITEMS = 500
#: And within so many seconds otherwise.
_SOON = 0.5


class Mirror:
    """Compacts a store when its mode says so.

    A mutation that is durable in the log is not undone because a JSON file could not be written: that is warned of, tried
    again with the next save, and raised by ``close``.
    """

    def __init__(self, store: Store, mode: MirrorMode) -> None:
        self._store = store
        self._mode = mode
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        if mode in ("always", "auto") and store.stats().dirty_conversations:
            self._write()

    def saved(self, *ids: str) -> None:
        """Conversations were saved."""
        if self._mode == "always" or (self._mode == "auto" and self._is_quick(ids)):
            self._write()
        elif self._mode == "auto":
            with self._lock:
                if self._timer is None:
                    self._timer = threading.Timer(_SOON, self._write_later)
                    self._timer.daemon = True
                    self._timer.start()

    def close(self) -> None:
        """Writes what has not been written yet, unless that is to be never."""
        with self._lock:
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        if self._mode != "never" and self._store.stats().dirty_conversations:
            self._store.compact()

    def _is_quick(self, ids: tuple[str, ...]) -> bool:
        if len(self._store) > _FEW_CONVERSATIONS:
            return False
        summaries = [self._store.summary(id) for id in ids]
        return sum(each.messages + each.actions for each in summaries if each is not None) <= _FEW_ITEMS

    def _write_later(self) -> None:
        with self._lock:
            self._timer = None
        self._write()

    def _write(self) -> None:
        try:
            self._store.compact()
        except Closed:
            # The timer was under way while the store was closed, which wrote the files itself.
            pass
        except AralStoreError as error:
            warnings.warn(
                f"saved, but the JSON files are not up to date: {error}", RuntimeWarning, stacklevel=4
            )
