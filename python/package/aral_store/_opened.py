"""The store under a message store: one that writes, or a view of what another process writes."""

from __future__ import annotations

import os
from typing import Literal

from ._errors import Closed, Locked, NotFound, ReadOnly
from ._key import Key, KeyFile
from ._lock import Lock
from ._place import is_database, path_of, shown
from ._store import Store


class Opened:
    """Opens a directory for writing, and for reading where another process writes to it.

    Several processes may write a database, which is only ever a view where it is for reading.

    A view shows what the other process has saved at the moment of each call. It becomes the writer with the first save
    after that process has ended; until then a save raises :class:`Locked`.
    """

    def __init__(
        self,
        place: str | None,
        lock: Lock,
        *,
        sync: Literal["always", "os"] | float,
        read_only: bool,
        wait: float,
        compact_above: int | None,
        key: Key | None,
        key_file: KeyFile | None,
    ) -> None:
        self._place = place
        self._lock = lock
        self._sync = sync
        self._read_only = read_only
        self._wait = wait
        self._compact_above = compact_above
        # Asked for again by each opening, so that it is the same file when the current directory is another one.
        self._key = key
        self._key_file = None if key_file is None else os.path.abspath(key_file)
        self._is_view = False
        if place is None:
            self._store = Store(read_only=read_only, key=key, key_file=self._key_file)
            return
        if read_only:
            self._look_at(place)
            return
        is_shared = is_database(place)
        try:
            # Who shares a database waits within each save. A directory's writer has waited once, before its first one.
            self._store = self._write_to(place, wait=wait if is_shared else 0.0)
        except (Locked, ReadOnly) as refused:
            if is_shared and isinstance(refused, Locked):
                raise
            try:
                self._look_at(place)
            except NotFound:
                # There is nothing to be seen yet, so that what there is to say is why nothing can be begun.
                raise refused from None

    @property
    def is_view(self) -> bool:
        """Whether another process writes, as far as is known here."""
        return self._is_view

    @property
    def is_closed(self) -> bool:
        """Whether the store was closed."""
        return self._store.is_closed

    @property
    def store(self) -> Store:
        """The store, with all that has been saved by now."""
        if not self._is_view or self._store.is_closed:
            return self._store
        with self._lock:
            if self._is_view and not self._store.is_closed:
                self._store.refresh()
            return self._store

    def become_writer(self) -> bool:
        """Makes sure that this can save; says whether it could not before.

        Raises :class:`Locked` while another process writes, and :class:`Closed` for a store that was closed.
        """
        if self._store.is_closed:
            raise Closed("the store was closed")
        if self._place is None or not self._is_view:
            return False
        if self._read_only:
            raise ReadOnly("the store was opened for reading only", path_of(self._place))
        before = self._store
        try:
            self._store = self._write_to(self._place, wait=self._wait)
        except Locked as refused:
            raise Locked(
                f"another process has the store open for writing, so that nothing was saved; this one shows what that one "
                f"saves, and can save itself once that one has closed the store or ended, in {shown(self._place)}",
                refused.path,
            ) from refused
        self._is_view = False
        before.close()
        return True

    def _write_to(self, place: str, wait: float = 0.0) -> Store:
        return Store(
            place,
            sync=self._sync,
            wait=wait,
            compact_above=self._compact_above,
            key=self._key,
            key_file=self._key_file,
        )

    def _look_at(self, place: str) -> None:
        self._store = Store(place, read_only=True, key=self._key, key_file=self._key_file)
        self._is_view = True
