"""An event of ADK as a message: its texts are the message's content, and nowhere else."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

from google.adk.events.event import Event
from pydantic import ValidationError

from ._adapter import id_of
from ._errors import InvalidInput
from ._exact import check_comes_back, comes_back
from ._json import decode, encode
from ._texts import object_of, put_together, taken_apart

#: Where a message's metadata has what there is of its event besides the texts.
EVENT = "adk"

#: What a call and its result have under a name of their own, and where their JSON stands while texts are taken apart.
_OF_TOOLS = (("function_call", "args", "arguments"), ("function_response", "response", "output"))

_TRANSCRIPTIONS = ("input_transcription", "output_transcription")

#: The newest time that a message can have.
_LATEST = datetime(9999, 12, 31, tzinfo=timezone.utc).timestamp()


def mutation_of(event: Event) -> dict[str, Any]:
    """The addition of an event, without its conversation. Raises :class:`InvalidInput` if it would not come back equal."""
    item = _flat(decode(encode(_form(event))))
    try:
        content, kept = taken_apart(item)
    except RecursionError as error:
        raise InvalidInput("an event nests too deeply") from error
    mutation = {"type": "add_message", "role": _role(event), "content": content, "metadata": {EVENT: kept}}
    if 0 <= event.timestamp < _LATEST:
        mutation["created_at"] = datetime.fromtimestamp(event.timestamp, timezone.utc).isoformat()
    return mutation | id_of(event.id)


def event_of(id: str, role: str, content: str, metadata: dict[str, Any], time: float) -> Event:
    """The event that a message is. One that is none of ADK's is there by its role and text, at the time of the one before."""
    item = put_together(metadata.get(EVENT), content) if EVENT in metadata else None
    if isinstance(item, dict):
        try:
            return Event.model_validate(_standing(item))
        except (AttributeError, KeyError, TypeError, ValueError, ValidationError):
            # Somebody has changed the metadata so that they are no event any more.
            pass
    said = {"role": "user" if role == "user" else "model", "parts": [{"text": content}]}
    return Event.model_validate({"id": id, "author": role, "timestamp": time, "content": said})


def _form(event: Event) -> dict[str, Any]:
    if not isinstance(event, Event):
        raise InvalidInput(f"an event is an Event of ADK, not {type(event).__name__}")
    found: Event | None = None
    for leave_out in (True, False):
        try:
            form = event.model_dump(mode="json", exclude_none=leave_out)
            found = Event.model_validate(decode(encode(form)))
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidInput(f"an event has no form as JSON: {error}") from error
        if comes_back(event, found):
            return form
    check_comes_back("event", event, found)
    raise AssertionError("what does not come back is refused")


def _role(event: Event) -> str:
    if event.author == "user":
        return "user"
    parts = (event.content.parts if event.content else None) or []
    return "tool" if parts and all(part.function_response for part in parts) else "assistant"


def _flat(form: dict[str, Any]) -> dict[str, Any]:
    """The same with all that people and models read in ``content``."""
    content = form.pop("content", None)
    parts: list[dict[str, Any]] = []
    if isinstance(content, dict):
        form["of_content"] = content | ({"parts": None} if isinstance(content.get("parts"), list) else {})
        parts = content.pop("parts", None) or []
    for part in parts:
        for whole, name, text in _OF_TOOLS:
            if isinstance(part.get(whole), dict) and isinstance(part[whole].get(name), dict):
                part[text] = json.dumps(part[whole].pop(name), ensure_ascii=False)
    for name in _TRANSCRIPTIONS:
        if isinstance(form.get(name), dict) and isinstance(form[name].get("text"), str):
            parts.append({"of": name, "text": form[name].pop("text")})
    return form | {"content": parts}


def _standing(item: dict[str, Any]) -> dict[str, Any]:
    """What :func:`_flat` was made of."""
    parts = item.pop("content")
    if isinstance(parts, str):
        # A picture, or the like, in the place of which there is a text now.
        parts = [{"text": parts}]
    content = item.pop("of_content", None)
    for part in [part for part in parts if "of" in part]:
        item[part["of"]]["text"] = part["text"]
        parts.remove(part)
    for part in parts:
        for whole, name, text in _OF_TOOLS:
            if text in part and whole in part:
                part[whole][name] = object_of(part.pop(text))
    if content is not None:
        item["content"] = content | ({"parts": parts} if "parts" in content or parts else {})
    elif parts:
        item["content"] = {"parts": parts}
    return item
