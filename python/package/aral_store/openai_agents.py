"""A session of the OpenAI Agents SDK, kept in a store. It takes ``aral-store[openai-agents]``.

>>> import asyncio
>>> from aral_store import Store
>>> async def main():
...     session = AralSession("user-7", Store())
...     await session.add_items([{"role": "user", "content": "What shall we do?"}])
...     return await session.get_items(limit=1)
>>> asyncio.run(main())
[{'role': 'user', 'content': 'What shall we do?'}]

Given to ``Runner.run(agent, "…", session=session)``, it is the memory of that agent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast

try:
    from agents.memory.session_settings import SessionSettings, coerce_session_settings, resolve_session_limit
    from agents.models.fake_id import FAKE_RESPONSES_ID
except ImportError as _error:
    raise ImportError("aral_store.openai_agents takes openai-agents: pip install 'aral-store[openai-agents]'") from _error
from pydantic import BaseModel

from ._adapter import BATCH, Adapter, id_of
from ._async_store import AsyncStore
from ._errors import Conflict, InvalidInput, NotFound
from ._json import decode, encode
from ._store import Store
from ._texts import as_arguments, put_together, taken_apart

if TYPE_CHECKING:
    from agents import TResponseInputItem
    from agents.memory.session import _CompactionSnapshot

#: Where a message's metadata has what there is of its item besides the text.
_ITEM = "openai_agents"

#: Where earlier versions kept the item whole, with its texts.
_WHOLE_ITEM = "openai_agents_item"


#: The methods that say what a session's items are.
_HOW_ITEMS_ARE_KEPT = ("get_items", "add_items", "pop_item", "clear_session")


class AralSession(Adapter):
    """The items of one conversation: each is a message, whose content is what a person can read of it.

    Items come back as they were given. The text of an item is the message's content and nothing else: whoever edits that
    has edited the item. Messages that others have added to the conversation come as items with a role and a content. All
    items of one :meth:`add_items` are added or none, and are as durable as the store's ``sync`` says. Sessions with
    the same id on one store, in any thread, have the same items.

    With ``whole_turns``, what is read begins with a user's turn, and a tool's result comes with its call.

    A call that is cancelled raises ``CancelledError`` when it is settled: it was carried out, or never will be.
    """

    session_settings: SessionSettings | None

    def __init__(
        self,
        session_id: str,
        store: Store | AsyncStore,
        *,
        session_settings: SessionSettings | dict[str, Any] | None = None,
        whole_turns: bool = False,
    ) -> None:
        super().__init__(session_id, store)
        self.session_settings = (
            SessionSettings() if session_settings is None else coerce_session_settings(session_settings)
        )
        self.whole_turns = whole_turns

    async def get_items(self, limit: int | None = None, *, whole_turns: bool | None = None) -> list[TResponseInputItem]:
        """The items, oldest first: all of them, or the newest so many. Only these are read.

        Without ``limit``, that of the settings counts; a negative one is none. With ``whole_turns`` there are so many at
        most: the first is a user's, and no tool's result is there without its call. A newest turn that is longer than
        ``limit`` comes whole.
        """
        last = self._last(limit)
        whole = self.whole_turns if whole_turns is None else whole_turns
        return await self._run(lambda: self._read_items(_ITEM, _item, last, whole))

    def _last(self, limit: int | None) -> int | None:
        last = resolve_session_limit(limit, self.session_settings)
        return None if last is not None and last < 0 else last

    async def add_items(self, items: list[TResponseInputItem], *, key: str | None = None) -> None:
        """Adds items at the end, all of them or none.

        A second call with the same ``key`` and the same items changes nothing; with other items it raises
        :class:`Conflict`. Objects of the SDK are taken as items too, in the form in which the SDK itself sends them.
        An item's ``id`` becomes the message's. Two items with one id are both kept.
        """
        self._check_open()
        key = self._key(key)
        mutations = _mutations(self.session_id, items)
        await self._run(lambda: self._add(mutations, key))

    async def pop_item(self) -> TResponseInputItem | None:
        """Takes the newest item away and returns it; ``None`` if there is none.

        No two calls get the same item, whatever sessions they are made on. An item whose removal is not durable when
        the process is killed is there again.
        """
        newest = await self._run(self._pop)
        return None if newest is None else cast("TResponseInputItem", _item(*newest))

    async def clear_session(self) -> None:
        """Takes all items away. The conversation's actions are no items, and stay, and so do its title and metadata."""
        await self._run(self._clear)

    async def _get_compaction_snapshot(
        self, limit: int, *, prune_prefix: Callable[[Any], bool] | None = None
    ) -> _CompactionSnapshot | None:
        """What the SDK's compaction asks a session for: its newest items, and a way to put others in their place at once.

        Without it the SDK clears a session and adds the summary, which are two steps, and compacts nothing that it has not read whole.
        """
        if any(getattr(type(self), name) is not getattr(AralSession, name) for name in _HOW_ITEMS_ARE_KEPT):
            # A class that has another way with its items has to say itself what stands in the place of what.
            return None
        try:
            from agents.memory.session import _CompactionSnapshot
        except ImportError:
            # It is the SDK's own affair, and another version may have another way.
            return None
        read = await self._run(lambda: self._items_at(limit))

        async def replace_suffix(start: int, output: list[TResponseInputItem]) -> bool:
            known, added = (read.ids[start:], read.items[start:]), _mutations(self.session_id, output)
            return await self._run(lambda: self._replace(known, added, prune_prefix))

        return _CompactionSnapshot(items=list(read.items), complete=read.is_complete, replace_suffix=replace_suffix)

    def _items_at(self, last: int | None) -> _Read:
        """The newest items, or all, and the version of which they are."""
        while True:
            summary = self._store.summary(self.session_id)
            if summary is None:
                return _Read(0, [], [], True)
            ids, roles, contents, metadata = self._read(last)
            items = [_item(*parts) for parts in zip(roles, contents, metadata)]
            after = self._store.summary(self.session_id)
            if after is not None and (after.version, after.last_seq) == (summary.version, summary.last_seq):
                return _Read(summary.version, ids, items, summary.messages <= len(ids))

    def _replace(
        self,
        known: tuple[list[str], list[Any]],
        added: list[dict[str, Any]],
        prune_prefix: Callable[[Any], bool] | None,
    ) -> bool:
        """Puts items in the place of the newest ones, if these are still the newest; all of it happens or nothing."""
        ids, items = known
        if not ids:
            return False
        while True:
            self._check_open()
            now = self._items_at(None if prune_prefix is not None else len(ids))
            if (now.ids[-len(ids) :], now.items[-len(ids) :]) != (ids, items):
                return False
            gone = list(reversed(ids))
            if prune_prefix is not None:
                kept = list(zip(now.ids, now.items))[: -len(ids)]
                counts = Counter(id for id, _ in kept)
                for id, item in kept:
                    # Of two with one id a removal means the later one.
                    if counts[id] > 1 or not prune_prefix(item):
                        break
                    gone.append(id)
            if len(gone) + len(added) > BATCH:
                return False
            what: list[dict[str, Any]] = [
                {"type": "remove_message", "conversation_id": self.session_id, "message_id": id} for id in gone
            ]
            what[0]["expect"] = now.version
            try:
                self._store.batch(what + added)
            except (Conflict, NotFound):
                # Somebody has changed the conversation meanwhile, perhaps behind these items.
                continue
            return True


class _Read(NamedTuple):
    """What was read of a session, and of which version of its conversation."""

    version: int
    ids: list[str]
    items: list[Any]
    is_complete: bool


def _mutations(session_id: str, items: Iterable[Any]) -> list[dict[str, Any]]:
    given = []
    items = list(items)
    if all(map(_is_plain, items)):
        # The message has fields for all of it, and there is nothing in it that could be changed or come back as something else.
        return [{"type": "add_message", "conversation_id": session_id, **item} for item in items]
    for item in items:
        if isinstance(item, BaseModel):
            given.append(item.model_dump(mode="json", exclude_unset=True))
        elif isinstance(item, Mapping):
            given.append(dict(item))
        else:
            raise InvalidInput(f"an item is a mapping or an object of the SDK, not {type(item).__name__}")
    # A copy, in the form in which it will come back.
    return [_mutation(session_id, item) for item in decode(encode(given))]


def _is_plain(item: Any) -> bool:
    return type(item) is dict and list(item) == ["role", "content"] and type(item["role"]) is type(item["content"]) is str


def _mutation(session_id: str, item: dict[str, Any]) -> dict[str, Any]:
    has_role = isinstance(item.get("role"), str)
    role = item["role"] if has_role else _ROLES.get(str(item.get("type")), "assistant")
    id = item.get("id")
    mutation = {"type": "add_message", "conversation_id": session_id, "role": role}
    if id != FAKE_RESPONSES_ID:
        mutation |= id_of(id)
    try:
        if _is_call(item):
            content, kept = f"{item['name']}({item['arguments']})", {"data": item | {"arguments": None}}
        elif has_role and list(item) == ["role", "content"] and isinstance(item["content"], str):
            # Nothing but what the message has fields for.
            return mutation | {"content": item["content"]}
        else:
            content, kept = taken_apart(item)
    except RecursionError as error:
        raise InvalidInput("an item nests too deeply") from error
    return mutation | {"content": content, "metadata": {_ITEM: kept}}


def _is_call(item: dict[str, Any]) -> bool:
    strings = (item.get("name"), item.get("arguments", ""))
    return item.get("type") == "function_call" and all(isinstance(each, str) for each in strings)


#: Who says what has no role of its own; anything else is the model's.
_ROLES = {
    "function_call_output": "tool",
    "computer_call_output": "tool",
    "custom_tool_call_output": "tool",
    "local_shell_call_output": "tool",
    "shell_call_output": "tool",
    "apply_patch_call_output": "tool",
}


def _item(role: str, content: str, metadata: dict[str, Any]) -> dict[str, Any]:
    item = None
    if metadata:
        if _ITEM in metadata:
            kept = metadata[_ITEM]
            item = _call(kept, content) or put_together(kept, content)
        elif _WHOLE_ITEM in metadata:
            item = _whole_item(metadata[_WHOLE_ITEM], content)
    if not isinstance(item, dict):
        return {"role": role, "content": content}
    if isinstance(item.get("role"), str):
        item["role"] = role
    return item


def _call(kept: Any, content: str) -> dict[str, Any] | None:
    item = kept.get("data") if isinstance(kept, dict) else None
    if not isinstance(item, dict) or item.get("type") != "function_call" or not isinstance(item.get("name"), str):
        return None
    if "texts" in kept or "text" in kept:
        return None
    head = item["name"] + "("
    is_call = content.startswith(head) and content.endswith(")")
    item["arguments"] = content[len(head) : -1] if is_call else as_arguments(content)
    return item


def _whole_item(item: Any, content: str) -> dict[str, Any] | None:
    """The item as an earlier version kept it, or with the text that the message has been given since."""
    if not isinstance(item, dict) or _first_text(item) == content:
        return item if isinstance(item, dict) else None
    if _is_call(item):
        return _call({"data": item}, content)
    _, kept = taken_apart(item)
    return put_together(kept | {"length": -1}, content)


def _first_text(item: dict[str, Any]) -> str:
    """What earlier versions made the content of."""
    if item.get("type") == "function_call":
        return f"{item.get('name')}({item.get('arguments')})"
    for name in ("content", "output", "summary"):
        value = item.get(name)
        if isinstance(value, str):
            return value
        if isinstance(value, list):
            parts = [part.get("text") for part in value if isinstance(part, dict)]
            return "\n".join(part for part in parts if isinstance(part, str))
    return ""
