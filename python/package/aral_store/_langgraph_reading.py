"""A conversation whose messages are records of LangGraph's: what came since it was read last, and what one adds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from ._errors import NotFound
from ._json import decode
from ._receipts import Receipt
from ._store import Store

#: Where a message's metadata has its record.
RECORD = "langgraph"

#: So many messages are read at once.
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Seen:
    """How far a conversation was read. One that has never been read, or that there is not, is as far as this."""

    version: int = 0
    seq: int = 0
    count: int = 0
    created_at: str = ""
    newest: str = ""

    def with_addition(self, receipt: Receipt) -> Seen | None:
        """The same with the message that was added by this receipt, if nothing else has come since."""
        if not self.seq or receipt.version != self.version + 1:
            return None
        return replace(self, version=receipt.version, seq=receipt.seq, count=self.count + 1, newest=receipt.id)

    def _leads_to(self, later: Seen) -> bool:
        """Whether nothing but additions of messages lies between."""
        added = later.count - self.count
        return self.created_at == later.created_at and 0 <= added == later.version - self.version


@dataclass(frozen=True, slots=True)
class Record:
    """One message: its id, its role, its content, and what of LangGraph's is in its metadata."""

    id: str
    role: str
    content: str
    fields: dict[str, Any]


def read_since(store: Store, id: str, seen: Seen) -> tuple[Seen, bool, list[Record]]:
    """What has come since, and how far that is; with ``True``, all there is, because what was there has changed."""
    is_known = bool(seen.seq)
    while True:
        now = _state(store, id)
        if now.seq == seen.seq and is_known == bool(seen.seq):
            return seen, False, []
        is_added = seen.count > 0 and seen._leads_to(now)
        # One more than is new: a conversation that was removed and begun anew does not have it.
        start = seen.count - 1 if is_added else 0
        found = list(_records(store, id, start, now.count - start))
        if is_added and (not found or found[0].id != seen.newest):
            seen = Seen()
            continue
        # What was read is the state that was asked for if nothing but more has come since.
        if len(found) != now.count - start or not now._leads_to(_state(store, id)):
            continue
        newest = found[-1].id if found else ""
        return replace(now, newest=newest), is_known and not is_added, found[1:] if is_added else found


def state_of(store: Store, id: str) -> tuple[int, int]:
    """The version of a conversation and how many messages it has."""
    now = _state(store, id)
    return now.version, now.count


def record_at(store: Store, id: str, place: int) -> Record | None:
    """The message at a place, counted from 0."""
    return next(iter(_records(store, id, place, 1)), None)


def _state(store: Store, id: str) -> Seen:
    row = store._core.summary(id)
    return Seen() if row is None else Seen(row[5], row[7], row[3], row[2])


def _records(store: Store, id: str, start: int, count: int) -> Iterable[Record]:
    while count > 0:
        selection = (min(count, _PAGE), None, start, None, None, None, None, None, False)
        try:
            ids, roles, contents, texts = store._core.columns(id, selection)
        except NotFound:
            return
        if not ids:
            return
        metadata = chain.from_iterable(map(decode, texts))
        for message, role, content, held in zip(ids, roles, contents, metadata):
            fields = held.get(RECORD)
            yield Record(message, role, content, fields if isinstance(fields, dict) else {})
        start, count = start + len(ids), count - len(ids)
