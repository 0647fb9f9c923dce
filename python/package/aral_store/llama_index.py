"""What LlamaIndex's memory keeps, in a store. It takes ``aral-store[llama-index]``.

>>> import asyncio
>>> from llama_index.core.llms import ChatMessage
>>> from llama_index.core.memory import Memory
>>> from aral_store import Store
>>> async def main():
...     memory = Memory.from_defaults(session_id="user-7", chat_store=AralChatStore(Store()))
...     await memory.aput(ChatMessage(role="user", content="What shall we do?"))
...     return [message.content for message in await memory.aget()]
>>> asyncio.run(main())
['What shall we do?']
"""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from typing import Any

from pydantic import PrivateAttr

try:
    from llama_index.core.base.llms.types import ChatMessage
    from llama_index.core.storage.chat_store.base_db import AsyncDBChatStore, MessageStatus
except ImportError as _error:
    raise ImportError("aral_store.llama_index takes llama-index-core: pip install 'aral-store[llama-index]'") from _error

from ._adapter import Adapter
from ._async_store import AsyncStore, settled
from ._errors import Conflict, InvalidInput, NotFound, check_count
from ._key import Key as StoreKey
from ._key import KeyFile
from ._llama_index_messages import ARCHIVED, metadata_with, message_of, mutation_of
from ._owner import Owner, Owning
from ._store import Store


#: What the conversation of a key begins with.
_KEY = "llama-index:"

#: An id, a role, a content and metadata.
_Row = tuple[str, str, str, dict[str, Any]]


class AralChatStore(Owning, AsyncDBChatStore):
    """Keeps what is said, for ``Memory.from_defaults(chat_store=…)`` of LlamaIndex.

    It takes an open :class:`Store` or :class:`AsyncStore`, which stays open, or the path or URL of one, which it opens, with the
    ``key`` or ``key_file`` of an encrypted one, and :meth:`close` closes. A key is the conversation ``llama-index:KEY``, and a message one of it, whose content is its text; whether it is
    archived is in its metadata. Each call is carried out whole or not at all, and is as durable as the store's ``sync`` says.
    What would not come back equal raises :class:`InvalidInput`, which names it.

    A call that is cancelled raises ``CancelledError`` when it is settled: it was carried out, or never will be.
    """

    _owner: Owner = PrivateAttr()

    def __init__(
        self,
        store: Store | AsyncStore | str | PathLike[str],
        *,
        key: StoreKey | None = None,
        key_file: KeyFile | None = None,
    ) -> None:
        super().__init__()
        self._owner = Owner(store, key, key_file)

    async def get_messages(
        self,
        key: str,
        status: MessageStatus | None = MessageStatus.ACTIVE,
        limit: int | None = None,
        offset: int | None = None,
    ) -> list[ChatMessage]:
        """The messages of a key, oldest first: those that are active, archived, or with ``None`` all.

        ``offset`` leaves so many out at the beginning, and ``limit`` those behind so many.
        """
        check_count("limit", limit)
        check_count("offset", offset)
        start = offset or 0
        end = None if limit is None else start + limit

        def read() -> list[ChatMessage]:
            rows = [row for row in self._rows(key) if _is_of(row, status)]
            return [message_of(*row[1:]) for row in rows[start:end]]

        return await self._run(read)

    async def count_messages(self, key: str, status: MessageStatus | None = MessageStatus.ACTIVE) -> int:
        """How many messages of a key are active, archived, or with ``None`` there at all."""
        return await self._run(lambda: sum(_is_of(row, status) for row in self._rows(key)))

    async def add_message(self, key: str, message: ChatMessage, status: MessageStatus = MessageStatus.ACTIVE) -> None:
        """Adds a message at the end of a key's."""
        await self.add_messages(key, [message], status)

    async def add_messages(
        self, key: str, messages: list[ChatMessage], status: MessageStatus = MessageStatus.ACTIVE
    ) -> None:
        """Adds messages at the end of a key's, all of them or none."""
        mutations = self._additions(key, messages, status)
        await self._run(lambda: self._owner.store.batch(mutations) if mutations else None)

    async def set_messages(
        self, key: str, messages: list[ChatMessage], status: MessageStatus = MessageStatus.ACTIVE
    ) -> None:
        """Puts messages in the place of all that a key has, archived ones too."""
        mutations = self._additions(key, messages, status)
        await self._run(lambda: self._change(key, lambda rows: (rows, mutations)))

    async def delete_message(self, key: str, idx: int) -> ChatMessage | None:
        """Takes the message at a place among all of a key away, counted from 0, and returns it; ``None`` if there is none."""
        check_count("idx", idx)
        removed = await self._run(lambda: self._change(key, lambda rows: (rows[idx : idx + 1], [])))
        return message_of(*removed[0][1:]) if removed else None

    async def delete_messages(self, key: str, status: MessageStatus | None = None) -> None:
        """Takes the messages of a key away: all, or those that are active or archived."""
        await self._run(lambda: self._change(key, lambda rows: ([row for row in rows if _is_of(row, status)], [])))

    async def delete_oldest_messages(self, key: str, n: int) -> list[ChatMessage]:
        """Takes the oldest so many that are active away, and returns them."""
        check_count("n", n)
        removed = await self._run(lambda: self._change(key, lambda rows: (_active(rows)[:n], [])))
        return [message_of(*row[1:]) for row in removed]

    async def archive_oldest_messages(self, key: str, n: int) -> list[ChatMessage]:
        """Archives the oldest so many that are active, and returns them."""
        check_count("n", n)
        archived: list[_Row] = []

        def archive(rows: list[_Row]) -> tuple[list[_Row], list[dict[str, Any]]]:
            archived[:] = _active(rows)[:n]
            of_key = {"type": "edit_message", "conversation_id": _conversation(key)}
            return [], [
                of_key | {"message_id": id, "metadata": metadata_with(metadata, ARCHIVED)}
                for id, _, _, metadata in archived
            ]

        await self._run(lambda: self._change(key, archive))
        return [message_of(*row[1:]) for row in archived]

    async def get_keys(self) -> list[str]:
        """The keys that have messages."""

        def read() -> list[str]:
            rows = self._owner.store._core.summaries(by_activity=False, limit=None, after=None)
            return [row[0].removeprefix(_KEY) for row in rows if row[0].startswith(_KEY) and row[3]]

        return await self._run(read)

    @classmethod
    def class_name(cls) -> str:
        """The name by which LlamaIndex knows the class."""
        return "AralChatStore"

    # What they share.

    def _rows(self, key: str) -> list[_Row]:
        return list(zip(*Adapter(_conversation(key), self._owner.store)._read(None)))

    def _additions(self, key: str, messages: list[ChatMessage], status: MessageStatus) -> list[dict[str, Any]]:
        of_key = {"conversation_id": _conversation(key)}
        return [mutation_of(message, MessageStatus(status).value) | of_key for message in messages]

    def _change(
        self, key: str, choose: Callable[[list[_Row]], tuple[list[_Row], list[dict[str, Any]]]]
    ) -> list[_Row]:
        """Takes away what is chosen, and does what else is to be done, on one state of the conversation."""
        id, store = _conversation(key), self._owner.store
        while True:
            summary = store.summary(id)
            version = 0 if summary is None else summary.version
            rows = self._rows(key) if summary is not None and summary.messages else []
            removed, others = choose(rows)
            mutations: list[dict[str, Any]] = [
                {"type": "remove_message", "conversation_id": id, "message_id": row[0]} for row in reversed(removed)
            ]
            if removed and len(removed) == len(rows) and summary is not None and not summary.actions:
                mutations = [{"type": "clear", "conversation_id": id}]
            mutations += [dict(each) for each in others]
            if not mutations:
                return removed
            mutations[0]["expect"] = version
            try:
                store.batch(mutations)
                return removed
            except (Conflict, NotFound):
                # Somebody else was faster, so that it has to be chosen anew.
                continue


def _conversation(key: str) -> str:
    if not isinstance(key, str) or not key:
        # All users whose id a program has mislaid would have one history together.
        raise InvalidInput(f"a key is a string with something in it, not {key!r}")
    return _KEY + key


def _is_of(row: _Row, status: MessageStatus | None) -> bool:
    is_archived = row[3].get(ARCHIVED) is True
    return status is None or is_archived == (MessageStatus(status) is MessageStatus.ARCHIVED)


def _active(rows: list[_Row]) -> list[_Row]:
    return [row for row in rows if _is_of(row, MessageStatus.ACTIVE)]
