"""When the JSON files are brought up to date."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ._errors import AralStoreError, Closed
from ._store import Store
from ._warning import warn

if TYPE_CHECKING:
    from ._reports import CompactionReport, DamagedFile

MirrorMode = Literal["always", "auto", "close", "never"]

#: What counts as small: conversations of up to so many messages and actions, and so many bytes, in a store of up to so many
#: conversations, whose names and places each writing writes too.
_FEW_ITEMS = 100
_FEW_BYTES = 256 << 10
_FEW_CONVERSATIONS = 1000
#: ``"auto"`` writes what is small so many seconds after a save.
_AT_ONCE = 0.05
#: And the rest after so many seconds, or so many times what writing last took, but not after so many seconds.
_SOON = 0.5
_TIMES = 20.0
_AT_LAST = 30.0
#: Earlier once this share of what was written last time has been added to the log, and so many bytes.
_SHARE = 0.25
_MANY_BYTES = 1 << 20
#: What ``"always"`` writes without a word: a file of so many bytes takes about a tenth of a second, each time.
_HEAVY_BYTES = 16 << 20


class Mirror:
    """Compacts a store when its mode says so.

    A save under ``"auto"`` costs what the log takes, and a thread writes the files behind it. A compaction writes all
    conversations that have changed, so what is small waits with what is large, or as long as writing takes would be spent on
    the largest conversation.

    A mutation that is durable in the log is not undone because a JSON file could not be written: that is warned of, tried
    again with the next save, and raised by ``close``.
    """

    def __init__(self, store: Store, mode: MirrorMode, dir: Path | None) -> None:
        self._store = store
        self._mode = mode
        self._dir = dir
        self._pid = os.getpid()
        self._is_small = True
        #: How many bytes the conversations' files have, as far as it is known.
        self._weights: dict[str, int] = {}
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        #: There is one as long as something waits or is being written.
        self._thread: threading.Thread | None = None
        self._ends = False
        #: What was saved and waits, how many bytes each of that and all of it added to the log, and since when it waits.
        self._due: dict[str, int] = {}
        self._bytes = 0
        self._since = 0.0
        #: What the last writing took.
        self._took_seconds = 0.0
        self._took_bytes = 0
        self._has_said_so = False
        #: The files that were warned of, in which what was saved is not.
        self._held: set[Path] = set()
        if mode in ("always", "auto") and (self._is_behind() or not self._has_layout()):
            self._write(set())

    def saved(self, saved: dict[str, int]) -> None:
        """Conversations were saved, each of which added about so many bytes to the log."""
        if self._mode == "always":
            self._write(set(saved))
        elif self._mode == "auto":
            # No more than that it is due: how long it may wait is for the thread to find out, and not for the call.
            with self._lock:
                self._write_soon(saved)

    def close(self) -> None:
        """Writes what has not been written yet, unless that is to be never."""
        with self._lock:
            self._ends = True
            self._changed.notify_all()
            thread = self._thread
        # A store that is closed while its files are being written is left as if that were still to be done.
        if thread is not None and thread is not threading.current_thread():
            thread.join()
        if self._mode == "never":
            return
        stats = self._store._core.stats()
        # What is held waits for its file and for nothing else, so that it does not count as what is to be written.
        if stats["dirty_conversations"] or stats["held"]:
            for file in self._store.compact().held:
                _warn_of_held(file)

    def wrote(self, report: CompactionReport) -> None:
        """Warns of each file that the store did not write because somebody else had changed it, as long as it stays so."""
        held = {file.path: file for file in report.held}
        for file in [file for path, file in held.items() if path not in self._held]:
            self._held.add(file.path)
            _warn_of_held(file)
        # One that was put right and is changed again is news.
        self._held &= held.keys()

    def end(self) -> None:
        """Does the same for a store that nobody has closed; there is nobody to hear of a failure but by a warning.

        Whoever has taken the whole directory away, as the end of a temporary one does, does not want it written again.
        """
        if os.getpid() != self._pid or self._store.is_closed or self._is_taken_away():
            return
        try:
            self.close()
        except Closed:
            pass
        except AralStoreError as error:
            _warn(error)

    def _is_behind(self) -> bool:
        return bool(self._store._core.stats()["dirty_conversations"])

    def _has_layout(self) -> bool:
        """Whether the directory looks as the original leaves it as soon as it is opened."""
        dir = self._dir
        return dir is None or ((dir / "conversations").is_dir() and (dir / "message_store.json").exists())

    def _is_taken_away(self) -> bool:
        return self._dir is not None and not self._dir.exists()

    def _are_small(self, due: dict[str, int]) -> bool:
        """Whether all that is due is small, with what waits of it."""
        try:
            # Counting conversations looks at files, so it is done when there is another one, and a store that was large once counts as large.
            if self._is_small and not self._weights.keys() >= due.keys():
                self._is_small = len(self._store) <= _FEW_CONVERSATIONS
            if not self._is_small:
                return False
            if sum(self._weights.setdefault(id, 0) + bytes for id, bytes in due.items()) > _FEW_BYTES:
                return False
            found = [self._store._core.standing(id) for id in due]
        except AralStoreError:
            # A store that was closed, say. What there is to be said of it is said by the writing.
            return False
        return sum(each[2] for each in found if each is not None) <= _FEW_ITEMS

    def _write_soon(self, saved: dict[str, int]) -> None:
        due = self._due
        if not due:
            self._since = time.monotonic()
        for id, bytes in saved.items():
            due[id] = due.get(id, 0) + bytes
            self._bytes += bytes
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_later, name="aral-store-mirror", daemon=True)
            self._thread.start()
        elif self._has_many_bytes():
            self._changed.notify_all()

    def _has_many_bytes(self) -> bool:
        return self._bytes >= max(_MANY_BYTES, self._took_bytes * _SHARE)

    def _seconds_left(self, are_small: bool) -> float:
        if self._ends or self._has_many_bytes():
            return 0.0
        # What is small alone takes a moment, however long the last writing took.
        at_least, at_most = (_AT_ONCE, _SOON) if are_small else (_SOON, _AT_LAST)
        pause = min(max(at_least, self._took_seconds * _TIMES), at_most)
        return self._since + pause - time.monotonic()

    def _write_later(self) -> None:
        """Writes as often as there is something due, then ends: a store that is not used has no thread."""
        try:
            while ids := self._next_due():
                self._write(ids)
        except BaseException:
            # A warning that was made an error, say. The next save begins anew.
            with self._lock:
                self._thread = None
            raise

    def _next_due(self) -> set[str]:
        """What is to be written now, once it is; nothing, if nothing is due, and with that the thread is over."""
        while True:
            with self._lock:
                due = self._due.copy()
            # Looking at what is due may take a moment, in which no call is to wait.
            are_small = self._are_small(due)
            with self._lock:
                if self._ends or not self._due:
                    self._thread = None
                    return set()
                left = self._seconds_left(are_small)
                if left > 0:
                    self._changed.wait(left)
                    continue
                due, self._due, self._bytes = self._due, {}, 0
                for id, bytes in due.items():
                    self._weights[id] = self._weights.get(id, 0) + bytes
                return set(due)

    def _write(self, ids: set[str]) -> None:
        begun = time.monotonic()
        try:
            report = self._store.compact()
        except Closed:
            # The thread was under way while the store was closed, which wrote the files itself.
            return
        except AralStoreError as error:
            _warn(error)
            return
        self._took_seconds, self._took_bytes = time.monotonic() - begun, report.written_bytes
        if self._mode == "always" and report.written_bytes > _HEAVY_BYTES and not self._has_said_so:
            self._has_said_so = True
            _say_that_it_is_heavy(sorted(ids), report.written_bytes)
        if len(ids) == 1 and report.written == 1:
            self._weights.update(dict.fromkeys(ids, report.written_bytes))
        # Order: last, for a warning that was made an error ends the call.
        self.wrote(report)


def _warn(error: AralStoreError) -> None:
    warn(f"saved, but the JSON files are not up to date: {error}")


def _warn_of_held(file: DamagedFile) -> None:
    warn(
        f"saved, but in the log alone: the JSON file of conversation {file.conversation_id!r} is kept as somebody else has "
        f"left it: {file.reason}, in {file.path}"
    )


def _say_that_it_is_heavy(ids: list[str], bytes: int) -> None:
    whose = f"conversation {ids[0]!r}" if len(ids) == 1 else "conversations"
    warn(
        f"each save of {whose} writes {bytes >> 20} MiB of JSON before it returns, as the original does; with "
        'MessageStore(..., mirror="auto") files of that size follow in the background, and nothing is lost by it'
    )
