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

from typing import TYPE_CHECKING, Any, cast

from ._async_store import AsyncStore, run_on, store_of
from ._errors import Conflict, NotFound
from ._models import Message
from ._store import Store
from ._watch import plain

if TYPE_CHECKING:
    from agents import TResponseInputItem
    from agents.memory.session_settings import SessionSettings

#: Where a message's metadata has the item that it is, as it was given.
_ITEM = "openai_agents_item"


class AralSession:
    """The items of one conversation: each is a message, whose text is what a person can read of it.

    Items come back as they were given. Messages that others have added to the conversation come as items with a role
    and a content. All items of one :meth:`add_items` are added or none, and are as durable as the store's ``sync``
    says. Sessions with the same id on one store, in any thread, have the same items.
    """

    def __init__(
        self,
        session_id: str,
        store: Store | AsyncStore,
        *,
        session_settings: SessionSettings | None = None,
    ) -> None:
        self.session_id = session_id
        self.session_settings = session_settings
        self._owner = store
        self._store = store_of(store)

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """The items, oldest first: all of them, or the newest so many. Only these are read."""
        if limit is None and self.session_settings is not None:
            limit = self.session_settings.limit
        last = None if limit is None else max(limit, 0)

        def read() -> list[Any]:
            try:
                return [_item(message) for message in self._store.messages(self.session_id, last=last)]
            except NotFound:
                return []

        return await run_on(self._owner, read)

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Adds items at the end, all of them or none, even if the call is cancelled."""
        mutations = [_mutation(self.session_id, cast("dict[str, Any]", item)) for item in items]
        if mutations:
            await run_on(self._owner, lambda: self._store.batch(mutations))

    async def pop_item(self) -> TResponseInputItem | None:
        """Takes the newest item away and returns it; ``None`` if there is none.

        No two calls get the same item, whatever sessions they are made on. An item whose removal is not durable when
        the process is killed is there again.
        """
        return await run_on(self._owner, self._pop)

    def _pop(self) -> Any:
        while True:
            summary = self._store.summary(self.session_id)
            if summary is None or not summary.messages:
                return None
            try:
                for newest in self._store.messages(self.session_id, last=1):
                    # Only of the conversation as it was before the item was read is that item the newest for certain.
                    self._store.remove_message(self.session_id, newest.id, expect=summary.version)
                    return _item(newest)
            except (Conflict, NotFound):
                # Somebody else was faster.
                continue

    async def clear_session(self) -> None:
        """Takes all items away."""

        def clear() -> None:
            try:
                self._store.clear(self.session_id)
            except NotFound:
                pass

        await run_on(self._owner, clear)


def _mutation(session_id: str, item: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "add_message",
        "conversation_id": session_id,
        "content": _text(item),
        "role": item["role"] if isinstance(item.get("role"), str) else _ROLES.get(str(item.get("type")), "assistant"),
        "metadata": {_ITEM: item},
    }


#: Who says what has no role of its own; anything else is the model's.
_ROLES = {
    "function_call_output": "tool",
    "computer_call_output": "tool",
    "local_shell_call_output": "tool",
    "shell_call_output": "tool",
    "apply_patch_call_output": "tool",
}


def _text(item: dict[str, Any]) -> str:
    """What a person can read of an item: its texts, or what is called with what."""
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


def _item(message: Message) -> dict[str, Any]:
    item = message.metadata.get(_ITEM)
    if isinstance(item, dict):
        return cast("dict[str, Any]", plain(item))
    return {"role": message.role, "content": message.content}
