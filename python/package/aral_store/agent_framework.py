"""Histories of Microsoft's Agent Framework, kept in a store. It takes ``aral-store[agent-framework]``.

>>> import asyncio
>>> from agent_framework import Message
>>> from aral_store import Store
>>> async def main():
...     history = AralHistoryProvider(Store())
...     await history.save_messages("user-7", [Message("user", ["What shall we do?"])])
...     return [message.text for message in await history.get_messages("user-7")]
>>> asyncio.run(main())
['What shall we do?']

Among the ``context_providers`` of an agent, it is the memory of that agent.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from os import PathLike
from typing import Any

try:
    from agent_framework import HistoryProvider, Message
except ImportError as _error:
    raise ImportError(
        "aral_store.agent_framework takes agent-framework-core: pip install 'aral-store[agent-framework]'"
    ) from _error

from ._adapter import Adapter, id_of
from ._async_store import AsyncStore, settled
from ._errors import Conflict, InvalidInput, check_count
from ._exact import check_comes_back
from ._json import decode, encode
from ._key import Key as StoreKey
from ._key import KeyFile
from ._owner import Owner, Owning
from ._store import Store
from ._texts import object_of, put_together, taken_apart


#: Where a message's metadata has what there is of the framework's message besides the texts.
_MESSAGE = "agent_framework"

#: What the framework itself leaves out of what it stores: objects of a service's own, and what a failed tool told of the
#: inside of the program, in the place of which there is a mark.
_NOT_STORED = frozenset({"raw_representation", "exception"})


class AralHistoryProvider(Owning, HistoryProvider):
    """Keeps the messages of the framework's sessions in a store.

    It takes an open :class:`Store` or :class:`AsyncStore`, which stays open, or the path or URL of one, which it opens, with the
    ``key`` or ``key_file`` of an encrypted one, and :meth:`close` closes. A session is the conversation of its id, and a message one of it, whose content is its text. All
    messages of one call are added or none, and are as durable as the store's ``sync`` says. What would not come back equal
    raises :class:`InvalidInput`, which names it.

    Some agents hand over the whole transcript each time. What stands at the end of the history already is not added again, as by
    the framework's own providers, unless ``skip_replays`` is false; messages without an ``message_id`` are the same if they say the
    same. With ``limit`` the newest so many messages are read, and with ``whole_turns`` they begin with a user's and leave no
    tool's result without its call. The other parameters are those of the framework's own providers. One that has a ``source_id``
    of its own has a history of its own, ``SOURCE/SESSION``.

    A call that is cancelled raises ``CancelledError`` when it is settled: it was carried out, or never will be.
    """

    DEFAULT_SOURCE_ID = "aral_store"

    def __init__(
        self,
        store: Store | AsyncStore | str | PathLike[str],
        *,
        source_id: str = DEFAULT_SOURCE_ID,
        load_messages: bool = True,
        store_inputs: bool = True,
        store_context_messages: bool = False,
        store_context_from: set[str] | None = None,
        store_outputs: bool = True,
        skip_excluded: bool = False,
        skip_replays: bool = True,
        limit: int | None = None,
        whole_turns: bool = False,
        key: StoreKey | None = None,
        key_file: KeyFile | None = None,
    ) -> None:
        super().__init__(
            source_id,
            load_messages=load_messages,
            store_inputs=store_inputs,
            store_context_messages=store_context_messages,
            store_context_from=store_context_from,
            store_outputs=store_outputs,
        )
        check_count("limit", limit)
        self.skip_excluded = skip_excluded
        self.skip_replays = skip_replays
        self.limit = limit
        self.whole_turns = whole_turns
        self._owner = Owner(store, key, key_file)

    async def get_messages(
        self, session_id: str | None, *, state: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[Message]:
        """The messages of a session, oldest first."""
        adapter = self._adapter(session_id)
        found = await self._run(lambda: _messages(adapter, self.limit, self.whole_turns))
        if self.skip_excluded:
            return [message for message in found if not message.additional_properties.get("_excluded", False)]
        return found

    async def save_messages(
        self,
        session_id: str | None,
        messages: Sequence[Message],
        *,
        state: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Adds messages at the end of a session, all that are new or none."""
        adapter = self._adapter(session_id)
        given = list(messages)
        mutations = [_mutation(adapter.session_id, message) for message in given]
        await self._run(lambda: self._add(adapter, given, mutations))

    async def clear(self, session_id: str) -> None:
        """Takes all messages of a session away. The conversation's actions, title and metadata stay."""
        await self._run(self._adapter(session_id)._clear)

    def _add(self, adapter: Adapter, messages: list[Message], mutations: list[dict[str, Any]]) -> None:
        while mutations:
            summary = self._owner.store.summary(adapter.session_id)
            count, version = (0, 0) if summary is None else (summary.messages, summary.version)
            known = 0
            if count and self.skip_replays:
                known = replayed(_messages(adapter, len(messages)), messages)
            if known == len(messages):
                return
            new = [dict(mutation) for mutation in mutations[known:]]
            new[0]["expect"] = version
            try:
                self._owner.store.batch(new)
                return
            except Conflict:
                # Somebody else has added something, which may be what was to be added here.
                continue

    def _adapter(self, session_id: str | None) -> Adapter:
        if not isinstance(session_id, str) or not session_id:
            # All users whose id a program has mislaid would have one history together.
            raise InvalidInput(f"a history is of a session, whose id is a string with something in it, not {session_id!r}")
        id = session_id if self.source_id == self.DEFAULT_SOURCE_ID else f"{self.source_id}/{session_id}"
        return Adapter(id, self._owner.store)


def replayed(existing: Sequence[Message], incoming: Sequence[Message]) -> int:
    """How many of the messages are there already, at the end of the history: as many as the framework's providers skip."""
    there, new = [list(map(_identity, messages)) for messages in (existing, incoming)]
    is_question = bool(there) and existing[-1].role == "user" and there[-1][0] != "id"
    for at in range(len(new) - len(there) + 1):
        if there and new[at : at + len(there)] == there:
            if at == 0 and len(there) == 1 and is_question:
                # Somebody asks the same again.
                break
            return at + len(there)
    for overlap in range(min(len(there), len(new)), 0, -1):
        if there[-overlap:] == new[:overlap] and not (overlap == 1 and is_question):
            return overlap
    return 0


def _identity(message: Message) -> tuple[str, ...]:
    if message.message_id is not None:
        return "id", message.message_id
    contents = [content.to_dict() for content in message.contents]
    return "content", message.role, json.dumps(contents, sort_keys=True)


def _mutation(session_id: str, message: Message) -> dict[str, Any]:
    if not isinstance(message, Message):
        raise InvalidInput(f"a history takes messages of the framework, not {type(message).__name__}")
    try:
        form = decode(encode(message.to_dict()))
        found = Message.from_dict(decode(encode(form)))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"a {type(message).__name__} has no form as JSON: {error}") from error
    check_comes_back("message", message, found, _NOT_STORED)
    mutation = {"type": "add_message", "conversation_id": session_id, "role": message.role} | id_of(message.message_id)
    try:
        content, kept = taken_apart(_flat(form))
    except RecursionError as error:
        raise InvalidInput("a message nests too deeply") from error
    return mutation | {"content": content, "metadata": {_MESSAGE: kept}}


def _messages(adapter: Adapter, count: int | None, whole_turns: bool = False) -> list[Message]:
    _, roles, contents, metadata = adapter._read(count, whole_turns)
    return list(map(_message, roles, contents, metadata))


def _message(role: str, content: str, metadata: dict[str, Any]) -> Message:
    item = put_together(metadata.get(_MESSAGE), content) if _MESSAGE in metadata else None
    if isinstance(item, dict):
        try:
            return Message.from_dict(_standing(item) | {"role": role})
        except (AttributeError, KeyError, TypeError, ValueError):
            # Somebody has changed the metadata so that they are no message any more.
            pass
    return Message(role, [content])


def _flat(form: dict[str, Any]) -> dict[str, Any]:
    """The same with all that people and models read where :mod:`_texts` looks for it."""
    contents = form.pop("contents")
    for each in contents:
        if isinstance(each.get("arguments"), dict):
            each["arguments"], each["is_object"] = json.dumps(each["arguments"], ensure_ascii=False), True
        if each.get("type") == "function_result" and isinstance(each.get("items"), list):
            # What the framework makes of the items by itself has no second place.
            items = each.pop("items")
            if each.get("result") == _result(items):
                del each["result"]
                each["is_result"] = True
            each["outputs"] = items
    return form | {"content": contents}


def _standing(item: dict[str, Any]) -> dict[str, Any]:
    """What :func:`_flat` was made of."""
    contents = item.pop("content")
    if isinstance(contents, str):
        # A picture, or the like, in the place of which there is a text now.
        contents = [{"type": "text", "text": contents}]
    for each in contents:
        if each.pop("is_object", False):
            each["arguments"] = object_of(each["arguments"])
        if each.get("type") == "function_result" and "outputs" in each:
            each["items"] = each.pop("outputs")
            if each.pop("is_result", False):
                each["result"] = _result(each["items"])
    return item | {"contents": contents}


def _result(items: list[Any]) -> str:
    texts = (each.get("text") for each in items if isinstance(each, dict) and each.get("type") == "text")
    return "\n".join(text for text in texts if text)
