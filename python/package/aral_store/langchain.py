"""A LangChain chat history, kept in a store. It takes ``aral-store[langchain]``.

>>> from aral_store import Store
>>> history = AralChatMessageHistory("user-7", Store())
>>> history.add_user_message("What shall we do?")
>>> history.messages[-1].content
'What shall we do?'

It is a ``BaseChatMessageHistory``, and goes wherever LangChain takes one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

try:
    from langchain_core.chat_history import BaseChatMessageHistory
    from langchain_core.messages import BaseMessage, ChatMessage, message_to_dict, messages_from_dict
except ImportError as error:
    raise ImportError("aral_store.langchain takes langchain-core: pip install 'aral-store[langchain]'") from error

from ._async_store import AsyncStore, run_on, store_of
from ._errors import NotFound
from ._models import Message
from ._store import Store
from ._watch import plain

#: Where a message's metadata has the LangChain message that it is.
_MESSAGE = "langchain_message"

_ROLES = {"human": "user", "ai": "assistant", "AIMessageChunk": "assistant", "HumanMessageChunk": "user"}
_TYPES = {"user": "human", "human": "human", "assistant": "ai", "ai": "ai", "system": "system"}


class AralChatMessageHistory(BaseChatMessageHistory):
    """The messages of one conversation; they come back equal to what was added.

    Messages that others have added to the conversation come as human, AI and system messages by their role, and with
    any other role as chat messages. All messages of one :meth:`add_messages` are added or none, and are as durable as
    the store's ``sync`` says.
    """

    def __init__(self, session_id: str, store: Store | AsyncStore) -> None:
        super().__init__()
        self.session_id = session_id
        self._owner = store
        self._store = store_of(store)

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]
        """All messages, oldest first, read anew each time."""
        return self.last(None)

    def last(self, count: int | None) -> list[BaseMessage]:
        """The newest so many messages, oldest first. Only these are read."""
        try:
            return [_message(message) for message in self._store.messages(self.session_id, last=count)]
        except NotFound:
            return []

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Adds messages at the end, all of them or none."""
        mutations = [_mutation(self.session_id, message) for message in messages]
        if mutations:
            self._store.batch(mutations)

    def clear(self) -> None:
        """Takes all messages away."""
        try:
            self._store.clear(self.session_id)
        except NotFound:
            pass

    async def aget_messages(self) -> list[BaseMessage]:
        """:attr:`messages`, while the event loop goes on."""
        return await run_on(self._owner, lambda: self.last(None))

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        """:meth:`add_messages`, while the event loop goes on; all or none even if the call is cancelled."""
        await run_on(self._owner, lambda: self.add_messages(messages))

    async def aclear(self) -> None:
        """:meth:`clear`, while the event loop goes on."""
        await run_on(self._owner, self.clear)


def _mutation(session_id: str, message: BaseMessage) -> dict[str, Any]:
    role = message.role if isinstance(message, ChatMessage) else _ROLES.get(message.type, message.type)
    return {
        "type": "add_message",
        "conversation_id": session_id,
        "content": str(message.text),
        "role": role,
        "metadata": {_MESSAGE: message_to_dict(message)},
    }


def _message(message: Message) -> BaseMessage:
    kept = message.metadata.get(_MESSAGE)
    if isinstance(kept, dict):
        return messages_from_dict([plain(kept)])[0]
    known = _TYPES.get(message.role)
    fields = {"content": message.content} if known else {"content": message.content, "role": message.role}
    return messages_from_dict([{"type": known or "chat", "data": fields}])[0]
