"""What the adapters to other frameworks share: a conversation, keys, ids and windows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import chain
from typing import Any, TypeVar

from ._async_store import AsyncStore, run_on, store_of
from ._errors import Closed, Conflict, InvalidInput, NotFound, check_count
from ._json import decode, encode
from ._store import Store

_R = TypeVar("_R")

#: The ids, roles, contents and metadata of messages.
Columns = tuple[list[str], list[str], list[str], Iterable[dict[str, Any]]]

#: So many events are one batch at most.
BATCH = 100_000

#: A longer one is no id to the store.
_ID_BYTES = 1024


class Adapter:
    """One conversation of a store, as a framework sees it."""

    def __init__(self, session_id: str, store: Store | AsyncStore) -> None:
        super().__init__()
        if not isinstance(session_id, str) or not session_id:
            # All users whose id a program has mislaid would have one history together.
            raise InvalidInput(f"a session id is a string with something in it, not {session_id!r}")
        self.session_id = session_id
        self._owner = store
        self._store = store_of(store)
        self._is_closed = False
        self._keys: ContextVar[Iterator[str] | None] = ContextVar("aral_store_keys", default=None)

    def close(self) -> None:
        """Gives this object up: what is asked of it from now on raises :class:`Closed`. The store stays open."""
        self._is_closed = True

    @contextmanager
    def keyed(self, key: str) -> Iterator[None]:
        """Gives the additions in a ``with`` block the keys ``key/1``, ``key/2`` and so on, where they have none.

        It is for callers that cannot hand over a key, such as the framework itself. A program that is carried out
        again, and adds the same in the same order, adds nothing twice; what differs is refused with :class:`Conflict`.
        """
        token = self._keys.set(f"{key}/{n}" for n in range(1, 1 << 62))
        try:
            yield
        finally:
            self._keys.reset(token)

    def _check_open(self) -> None:
        if self._is_closed:
            raise Closed(f"the session {self.session_id!r} was closed")
        if self._store.is_closed:
            raise Closed("the store was closed")

    def _key(self, key: str | None) -> str | None:
        """The key of the next addition."""
        keys = self._keys.get()
        return next(keys) if key is None and keys is not None else key

    def _add(self, mutations: list[dict[str, Any]], key: str | None) -> None:
        self._check_open()
        if key is not None:
            # Of another number of items the keys are others, so that they are not taken for the same addition.
            of = len(mutations)
            for n, mutation in enumerate(mutations):
                mutation["key"] = key if n == 0 else f"{key}#{n + 1}/{of}"
        if mutations:
            self._store._append(encode(mutations))

    def _read(self, last: int | None, whole_turns: bool = False) -> Columns:
        """The newest messages, in what they are given in: to make models of them would take longer than to read them."""
        self._check_open()
        check_count("count", last)
        try:
            ids, roles, contents, metadata = self._store._core.columns(self.session_id, _newest(last, whole_turns))
        except NotFound:
            return [], [], [], []
        return ids, roles, contents, chain.from_iterable(map(decode, metadata))

    def _read_items(
        self, name: str, finish: Callable[[str, str, dict[str, Any]], Any], last: int | None, whole_turns: bool
    ) -> list[Any]:
        """The newest messages as the items that their metadata tell of under a name, each of the usual ones without a look
        at it here."""
        self._check_open()
        check_count("count", last)
        try:
            items, unfinished = self._store._core.items(self.session_id, _newest(last, whole_turns), name)
        except NotFound:
            return []
        for at, role, content, metadata in unfinished:
            items[at] = finish(role, content, decode(metadata))
        return items

    def _pop(self) -> tuple[str, str, dict[str, Any]] | None:
        """Takes the newest message away; its role, content and metadata."""
        while True:
            self._check_open()
            summary = self._store.summary(self.session_id)
            if summary is None or not summary.messages:
                return None
            try:
                for id, role, content, metadata in zip(*self._read(1)):
                    # Only of the conversation as it was before the message was read is that one the newest for certain.
                    self._store.remove_message(self.session_id, id, expect=summary.version)
                    return role, content, metadata
            except (Conflict, NotFound):
                # Somebody else was faster.
                continue

    def _clear(self) -> None:
        """Takes all messages away. Actions are none, and stay."""
        while True:
            self._check_open()
            summary = self._store.summary(self.session_id)
            if summary is None or not summary.messages:
                return
            try:
                if not summary.actions:
                    self._store.clear(self.session_id, expect=summary.version)
                    return
                ids = self._read(BATCH)[0]
                removals: list[dict[str, Any]] = [
                    {"type": "remove_message", "conversation_id": self.session_id, "message_id": id}
                    for id in reversed(ids)
                ]
                removals[0]["expect"] = summary.version
                self._store.batch(removals)
            except (Conflict, NotFound):
                # Somebody has changed the conversation meanwhile.
                continue

    async def _run(self, work: Callable[[], _R]) -> _R:
        self._check_open()
        return await run_on(self._owner, work)


def _newest(last: int | None, whole_turns: bool) -> Any:
    """The selection of the newest messages, or of all."""
    return None, last, None, None, None, None, None, None, whole_turns


def id_of(id: Any) -> dict[str, str]:
    """The member of a mutation that gives its message the id that the item has, if it can be one."""
    if isinstance(id, str) and 0 < len(id) <= _ID_BYTES and id.isascii():
        return {"id": id}
    return {}
