"""Message histories of Pydantic AI, kept in a store. It takes ``aral-store[pydantic-ai]``.

>>> import asyncio
>>> from pydantic_ai import Agent
>>> from pydantic_ai.models.test import TestModel
>>> from aral_store import Store
>>> async def main():
...     history = AralMessageHistory("user-7", Store())
...     result = await Agent(TestModel()).run("What shall we do?", message_history=await history.amessages())
...     count = await history.aadd(result.new_messages())
...     return count, await history.amessages() == result.all_messages()
>>> asyncio.run(main())
(2, True)
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

try:
    from pydantic_ai.messages import (
        ModelMessage,
        ModelMessagesTypeAdapter,
        ModelRequest,
        ModelResponse,
        TextPart,
        UserPromptPart,
    )
except ImportError as _error:
    raise ImportError("aral_store.pydantic_ai takes pydantic-ai-slim: pip install 'aral-store[pydantic-ai]'") from _error
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from ._adapter import Adapter
from ._async_store import AsyncStore
from ._errors import Conflict, InvalidInput
from ._json import decode, encode
from ._replays import overlap_of
from ._store import Store
from ._texts import put_together, taken_apart

#: Where a message's metadata has what there is of Pydantic AI's message besides the texts.
_MESSAGE = "pydantic_ai"

#: What stands in a form for what is no text: under which name, and under which its JSON is a text.
_OBJECTS = {
    "tool-call": ("args", "arguments"),
    "builtin-tool-call": ("args", "arguments"),
    "tool-return": ("content", "output"),
    "builtin-tool-return": ("content", "output"),
}


class AralMessageHistory(Adapter):
    """The messages of one conversation, for ``message_history=`` of an agent's run.

    It takes an open :class:`Store` or :class:`AsyncStore`. Messages come back as the JSON of Pydantic AI tells of them: equal, but
    that a tool's result that is an object of one's own is what the model was given, the JSON of it. What has no JSON raises
    :class:`InvalidInput`, which names it. The text of a message is the content of the one in the store and nothing else: whoever edits
    that has edited the message. Messages that others have added to the conversation come as requests and responses with
    their text.

    A call that is cancelled raises ``CancelledError`` when it is settled: it was carried out, or never will be.
    """

    def __init__(self, session_id: str, store: Store | AsyncStore) -> None:
        super().__init__(session_id, store)

    def messages(self, last: int | None = None, *, whole_turns: bool = False) -> list[ModelMessage]:
        """The messages, oldest first: all of them, or the newest so many. Only these are read.

        With ``whole_turns`` there are so many at most: the first is a user's, and no tool's result is there without its call.
        A newest turn that is longer comes whole.
        """
        _, roles, contents, metadata = self._read(last, whole_turns)
        return list(map(_message, roles, contents, metadata))

    def add(self, messages: Sequence[ModelMessage]) -> int:
        """Adds messages at the end, all that are new or none; how many that were.

        ``result.new_messages()`` and ``result.all_messages()`` do alike: what the history ends with already is not added again.
        """
        given = list(messages)
        return self._save(given, _mutations(self.session_id, given))

    def clear(self) -> None:
        """Takes all messages away. The conversation's actions, title and metadata stay."""
        self._clear()

    async def amessages(self, last: int | None = None, *, whole_turns: bool = False) -> list[ModelMessage]:
        """:meth:`messages`, while the event loop goes on."""
        return await self._run(lambda: self.messages(last, whole_turns=whole_turns))

    async def aadd(self, messages: Sequence[ModelMessage]) -> int:
        """:meth:`add`, while the event loop goes on."""
        given = list(messages)
        mutations = _mutations(self.session_id, given)
        return await self._run(lambda: self._save(given, mutations))

    async def aclear(self) -> None:
        """:meth:`clear`, while the event loop goes on."""
        await self._run(self._clear)

    def _save(self, messages: list[ModelMessage], mutations: list[dict[str, Any]]) -> int:
        while True:
            self._check_open()
            summary = self._store.summary(self.session_id)
            count, version = (0, 0) if summary is None else (summary.messages, summary.version)
            there = self.messages(len(messages)) if count and messages else []
            known = overlap_of(list(map(_identity, there)), list(map(_identity, messages)))
            new = [dict(mutation) for mutation in mutations[known:]]
            if not new:
                return 0
            new[0]["expect"] = version
            try:
                self._store.batch(new)
                return len(new)
            except Conflict:
                # Somebody else has added something, which may be what was to be added here.
                continue


def _identity(message: ModelMessage) -> tuple[str, ...]:
    """What tells a message from others, also when its text was edited."""
    if message.run_id is not None and message.timestamp is not None:
        return message.kind, message.run_id, message.timestamp.isoformat()
    return (ModelMessagesTypeAdapter.dump_json([message]).decode(),)


def _mutations(session_id: str, messages: Sequence[ModelMessage]) -> list[dict[str, Any]]:
    return [_mutation(session_id, message) for message in messages]


def _mutation(session_id: str, message: ModelMessage) -> dict[str, Any]:
    if not isinstance(message, (ModelRequest, ModelResponse)):
        raise InvalidInput(f"a history takes messages of Pydantic AI, not {type(message).__name__}")
    try:
        [form] = decode(encode(ModelMessagesTypeAdapter.dump_python([message], mode="json")))
        found = _made(form)
        is_same = ModelMessagesTypeAdapter.dump_json([found]) == ModelMessagesTypeAdapter.dump_json([message])
        numbers = list(_infinite(ModelMessagesTypeAdapter.dump_python([message])[0], "message"))
    except (TypeError, ValueError, RecursionError, PydanticSerializationError, ValidationError) as error:
        raise InvalidInput(f"a message has no form as JSON: {error}") from error
    if numbers:
        raise InvalidInput(f"{numbers[0]} is a number that JSON does not have, and would be null when it comes back")
    is_of_old = any(part["part_kind"] == "retry-prompt" for part in form["parts"])
    if (not is_same and not is_of_old) or type(found) is not type(message):
        # A part that Pydantic AI itself reads as the one that has taken its place is no loss.
        raise InvalidInput(f"a {type(message).__name__} would not come back from the store as it is")
    mutation = {"type": "add_message", "conversation_id": session_id, "role": _role(form)}
    if message.timestamp is not None:
        mutation["created_at"] = message.timestamp.isoformat()
    try:
        content, kept = taken_apart(_flat(form))
    except RecursionError as error:
        raise InvalidInput("a message nests too deeply") from error
    return mutation | {"content": content, "metadata": {_MESSAGE: kept}}


def _made(form: dict[str, Any]) -> ModelMessage:
    # Only of JSON is the base64 of bytes taken for bytes.
    return ModelMessagesTypeAdapter.validate_json(json.dumps([form]))[0]


def _infinite(value: Any, place: str) -> Iterator[str]:
    if isinstance(value, float) and not math.isfinite(value):
        yield place
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from _infinite(each, f"{place}[{name!r}]")
    elif isinstance(value, (list, tuple, set, frozenset)):
        for at, each in enumerate(value):
            yield from _infinite(each, f"{place}[{at}]")


def _role(form: dict[str, Any]) -> str:
    if form["kind"] == "response":
        return "assistant"
    kinds = {part["part_kind"] for part in form["parts"]}
    if kinds & {"tool-return", "retry-prompt"}:
        # It belongs to its call, whatever else is in it.
        return "tool"
    return "user" if "user-prompt" in kinds else "system"


def _message(role: str, content: str, metadata: dict[str, Any]) -> ModelMessage:
    item = put_together(metadata.get(_MESSAGE), content) if _MESSAGE in metadata else None
    if isinstance(item, dict):
        try:
            return _made(_standing(item))
        except (AttributeError, KeyError, TypeError, ValueError, ValidationError):
            # Somebody has changed the metadata so that they are no message any more.
            pass
    if role in ("assistant", "tool"):
        return ModelResponse(parts=[TextPart(content)])
    return ModelRequest(parts=[UserPromptPart(content)])


def _flat(form: dict[str, Any]) -> dict[str, Any]:
    """The same with all that people and models read where :mod:`_texts` looks for it."""
    parts = form.pop("parts")
    for part in parts:
        name, text = _OBJECTS.get(part["part_kind"], ("", ""))
        if name in part and not isinstance(part[name], str) and part[name] is not None:
            part[text] = json.dumps(part.pop(name), ensure_ascii=False)
        elif name == "args" and isinstance(part[name], str):
            part[text], part["is_text"] = part.pop(name), True
    return form | {"content": parts}


def _standing(item: dict[str, Any]) -> dict[str, Any]:
    """What :func:`_flat` was made of."""
    parts = item.pop("content")
    if isinstance(parts, str):
        # A picture, or the like, in the place of which there is a text now.
        kind = "text" if item["kind"] == "response" else "user-prompt"
        parts = [{"part_kind": kind, "content": parts}]
    for part in parts:
        name, text = _OBJECTS.get(part["part_kind"], ("", ""))
        if text and text in part:
            part[name] = part[text] if part.pop("is_text", False) else _value(part[text], name)
            del part[text]
    return item | {"parts": parts}


def _value(text: str, name: str) -> Any:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = text
    return {"content": text} if name == "args" and not isinstance(found, dict) else found
