"""A LangChain chat history, kept in a store. It takes ``aral-store[langchain]``.

>>> from aral_store import Store
>>> history = AralChatMessageHistory("user-7", Store())
>>> history.add_user_message("What shall we do?")
>>> history.messages[-1].content
'What shall we do?'

It is a ``BaseChatMessageHistory``, and goes wherever LangChain takes one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

try:
    from langchain_core.chat_history import BaseChatMessageHistory
    from langchain_core.messages import (
        AIMessage,
        BaseMessage,
        ChatMessage,
        HumanMessage,
        SystemMessage,
        message_to_dict,
        messages_from_dict,
    )
except ImportError as _error:
    raise ImportError("aral_store.langchain takes langchain-core: pip install 'aral-store[langchain]'") from _error

from ._adapter import Adapter, id_of
from ._async_store import AsyncStore
from ._errors import InvalidInput
from ._json import decode, encode
from ._store import Store
from ._texts import put_together, taken_apart

#: Where a message's metadata has what there is of the LangChain message besides the text.
_MESSAGE = "langchain"

#: Where earlier versions kept the LangChain message whole, with its texts.
_WHOLE_MESSAGE = "langchain_message"

_ROLES = {"human": "user", "ai": "assistant", "AIMessageChunk": "assistant", "HumanMessageChunk": "user"}
_CLASSES = {
    "user": HumanMessage,
    "human": HumanMessage,
    "assistant": AIMessage,
    "ai": AIMessage,
    "system": SystemMessage,
}


class AralChatMessageHistory(Adapter, BaseChatMessageHistory):
    """The messages of one conversation; they come back equal to what was added.

    The text of a message is the content of the one in the store and nothing else: whoever edits that has edited the
    LangChain message. Messages that others have added to the conversation come as human, AI and system messages by their
    role, and with any other role as chat messages. All messages of one :meth:`add_messages` are added or none, and are
    as durable as the store's ``sync`` says.

    A message of a class of one's own comes back as one of LangChain's, by its ``type``; if LangChain has no class for
    that, adding it raises :class:`InvalidInput`.

    A call that is cancelled raises ``CancelledError`` when it is settled: it was carried out, or never will be.
    """

    def __init__(self, session_id: str, store: Store | AsyncStore) -> None:
        super().__init__(session_id, store)

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]
        """All messages, oldest first, read anew each time."""
        return self.last(None)

    def last(self, count: int | None, *, whole_turns: bool = False) -> list[BaseMessage]:
        """The newest so many messages, oldest first. Only these are read.

        With ``whole_turns`` there are so many at most: the first is the user's, and no tool's result is there without
        its call. A newest turn that is longer than ``count`` comes whole.
        """
        _, roles, contents, metadata = self._read(count, whole_turns)
        return list(map(_message, roles, contents, metadata))

    def add_messages(self, messages: Sequence[BaseMessage], *, key: str | None = None) -> None:
        """Adds messages at the end, all of them or none.

        A second call with the same ``key`` and the same messages changes nothing; with others it raises
        :class:`Conflict`. A message's ``id`` is that of the one in the store. Two messages with one id are both kept.
        """
        self._add(_mutations(self.session_id, messages), self._key(key))

    def clear(self) -> None:
        """Takes all messages away. The conversation's actions, title and metadata stay."""
        self._clear()

    async def aget_messages(self) -> list[BaseMessage]:
        """:attr:`messages`, while the event loop goes on."""
        return await self.alast(None)

    async def alast(self, count: int | None, *, whole_turns: bool = False) -> list[BaseMessage]:
        """:meth:`last`, while the event loop goes on."""
        return await self._run(lambda: self.last(count, whole_turns=whole_turns))

    async def aadd_messages(self, messages: Sequence[BaseMessage], *, key: str | None = None) -> None:
        """:meth:`add_messages`, while the event loop goes on."""
        mutations, key = _mutations(self.session_id, messages), self._key(key)
        await self._run(lambda: self._add(mutations, key))

    async def aclear(self) -> None:
        """:meth:`clear`, while the event loop goes on."""
        await self._run(self._clear)


def _mutations(session_id: str, messages: Sequence[BaseMessage]) -> list[dict[str, Any]]:
    given = list(messages)
    for message in given:
        if not isinstance(message, BaseMessage):
            raise InvalidInput(f"a history takes messages of LangChain, not {type(message).__name__}")
    try:
        forms = [message_to_dict(message) for message in given]
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidInput(f"a message has no form as JSON: {error}") from error
    # A copy, in the form in which it will come back.
    return [_mutation(session_id, form) for form in decode(encode(forms))]


def _mutation(session_id: str, form: dict[str, Any]) -> dict[str, Any]:
    data, role = form["data"], _role_of(_readable(form))
    mutation = {"type": "add_message", "conversation_id": session_id, "role": role} | id_of(data.get("id"))
    if isinstance(data["content"], str) and form == message_to_dict(_plain(role, data["content"])):
        # Nothing but what the message has fields for.
        return mutation | {"content": data["content"]}
    try:
        content, kept = taken_apart(data)
    except RecursionError as error:
        raise InvalidInput("a message nests too deeply") from error
    return mutation | {"content": content, "metadata": {_MESSAGE: {"type": form["type"]} | kept}}


def _readable(form: dict[str, Any]) -> BaseMessage:
    try:
        return messages_from_dict([form])[0]
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(
            f"LangChain cannot make a message of type {form['type']!r} of its stored form ({error}); "
            "a ChatMessage takes any role"
        ) from error


def _role_of(message: BaseMessage) -> str:
    return message.role if isinstance(message, ChatMessage) else _ROLES.get(message.type, message.type)


def _message(role: str, content: str, metadata: dict[str, Any]) -> BaseMessage:
    form = None
    if _MESSAGE in metadata:
        kept = metadata[_MESSAGE]
        data = put_together(kept, content)
        if data is not None:
            kind = kept.get("type")
            found = _usual(kind, data)
            if found is not None and _ROLES.get(kind, kind) == role:
                return found
            form = {"type": kind, "data": data}
    elif _WHOLE_MESSAGE in metadata:
        form = _whole_message(metadata[_WHOLE_MESSAGE], content)
    found = None if form is None else _made(form)
    # What is not, or no longer, a message to LangChain is there by its role and text: it hides no other.
    return _plain(role, content) if found is None or _role_of(found) != role else found


def _made(form: dict[str, Any]) -> BaseMessage | None:
    try:
        return messages_from_dict([form])[0]
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


#: What a message of a class has besides its texts and its own metadata, if it is one of the usual ones.
_USUAL: dict[str, tuple[type[BaseMessage], frozenset[str], Callable[[Any], Any], tuple[Any, ...]]] = {}


def _usual(kind: Any, data: Any) -> BaseMessage | None:
    """A message of the usual fields. Their values are what LangChain would come to, which looks at each of them anew."""
    if type(kind) is not str or kind not in _USUAL or type(data) is not dict:
        return None
    made_of, names, values_of, values = _USUAL[kind]
    name, id = data.get("name"), data.get("id")
    if (
        type(data.get("content")) is not str
        or (name is not None and type(name) is not str)
        or (id is not None and type(id) is not str)
        or type(data.get("response_metadata")) is not dict
        or data.keys() != names
        or values_of(data) != values
    ):
        return None
    made = made_of.__new__(made_of)
    _set(made, "__dict__", data)
    _set(made, "__pydantic_fields_set__", set(names))
    _set(made, "__pydantic_extra__", {})
    _set(made, "__pydantic_private__", None)
    return made


_FREE = ("content", "name", "id", "response_metadata")
_set = object.__setattr__


def _parts(message: BaseMessage | None) -> list[Any]:
    names = ("__class__", "__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")
    return [getattr(message, name, None) for name in names]


# Only where that is how this version of LangChain makes them.
for _class in (HumanMessage, AIMessage, SystemMessage):
    _form = message_to_dict(_class(content="text", id="id", response_metadata={"of": 1}))
    _values_of = itemgetter(*(name for name in _form["data"] if name not in _FREE))
    _USUAL[_form["type"]] = (_class, frozenset(_form["data"]), _values_of, _values_of(_form["data"]))
    if _parts(_usual(_form["type"], _form["data"])) != _parts(messages_from_dict([_form])[0]):
        del _USUAL[_form["type"]]


def _whole_message(form: Any, content: str) -> dict[str, Any] | None:
    """The message as an earlier version kept it, or with the text that it has been given since."""
    if not isinstance(form, dict) or not isinstance(form.get("data"), dict):
        return None
    found = _made(form)
    if found is None or str(found.text) == content:
        return form
    _, kept = taken_apart(form["data"])
    data = put_together(kept | {"length": -1}, content)
    return None if data is None else {"type": form.get("type"), "data": data}


def _plain(role: str, content: str) -> BaseMessage:
    made = _CLASSES.get(role)
    return ChatMessage(content=content, role=role) if made is None else made(content=content)
