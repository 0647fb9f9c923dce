"""A message of LlamaIndex as one of the store: its texts are the content, and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from llama_index.core.base.llms import types
from llama_index.core.base.llms.types import BaseContentBlock, ChatMessage, MessageRole, TextBlock
from pydantic import BaseModel, ValidationError

from ._errors import InvalidInput
from ._exact import check_comes_back
from ._json import decode, encode
from ._texts import object_of, put_together, taken_apart

#: Where a message's metadata has what there is of LlamaIndex's message besides the texts.
_MESSAGE = "llama_index"

#: Where they say that it is archived.
ARCHIVED = "llama_index_archived"

_ROLES = {role.value for role in MessageRole}

#: The class of each kind of block.
_BLOCKS: dict[str, type[BaseContentBlock]] = {
    cls.model_fields["block_type"].default: cls
    for cls in vars(types).values()
    if isinstance(cls, type) and issubclass(cls, BaseContentBlock) and "block_type" in cls.model_fields
}


def mutation_of(message: ChatMessage, status: str) -> dict[str, Any]:
    """The addition of a message, without its conversation. Raises :class:`InvalidInput` if it would not come back equal."""
    if not isinstance(message, ChatMessage):
        raise InvalidInput(f"a chat store takes messages of LlamaIndex, not {type(message).__name__}")
    try:
        form = decode(encode(message.model_dump(mode="json")))
        found = ChatMessage.model_validate(decode(encode(form)))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"a {type(message).__name__} has no form as JSON: {error}") from error
    # LlamaIndex itself makes dicts of the models that its integrations put there.
    given = message.model_copy(update={"additional_kwargs": _plain(message.additional_kwargs)})
    check_comes_back("message", given, found)
    try:
        content, kept = taken_apart(_flat(form))
    except RecursionError as error:
        raise InvalidInput("a message nests too deeply") from error
    metadata = metadata_with({_MESSAGE: kept}, ARCHIVED if status == "archived" else None)
    return {"type": "add_message", "role": found.role.value, "content": content, "metadata": metadata}


def metadata_with(metadata: dict[str, Any], mark: str | None) -> dict[str, Any]:
    """The same metadata with a mark, if there is one."""
    return metadata if mark is None else metadata | {mark: True}


def message_of(role: str, content: str, metadata: dict[str, Any]) -> ChatMessage:
    """The message. One that is none of LlamaIndex's is there by its role and text."""
    item = put_together(metadata.get(_MESSAGE), content) if _MESSAGE in metadata else None
    if isinstance(item, dict):
        try:
            form = _standing(item)
            if role in _ROLES:
                form["role"] = role
            form["blocks"] = [_block(block) for block in form["blocks"]]
            return ChatMessage.model_validate(form)
        except (AttributeError, KeyError, TypeError, ValueError, ValidationError):
            # Somebody has changed the metadata so that they are no message any more.
            pass
    return ChatMessage(role=MessageRole(role if role in _ROLES else "assistant"), blocks=[TextBlock(text=content)])


def _block(form: dict[str, Any]) -> BaseContentBlock:
    cls = _BLOCKS[form["block_type"]]
    try:
        return cls.model_validate(form)
    except ValidationError:
        if not isinstance(form.get("path"), str):
            raise
        # The file that it names is not there any more, which is no reason to hide what was said.
        return cls.model_construct(**form | {"path": Path(form["path"])})


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump()
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _flat(form: dict[str, Any]) -> dict[str, Any]:
    """The same with all that people and models read where :mod:`_texts` looks for it."""
    blocks = form.pop("blocks")
    for block in blocks:
        if block.get("block_type") == "tool_call":
            called = block.pop("tool_kwargs")
            is_object = isinstance(called, dict)
            block["arguments"] = json.dumps(called, ensure_ascii=False) if is_object else called
            block["is_object"] = is_object
    return form | {"content": blocks}


def _standing(item: dict[str, Any]) -> dict[str, Any]:
    """What :func:`_flat` was made of."""
    blocks = item.pop("content")
    if isinstance(blocks, str):
        # A picture, or the like, in the place of which there is a text now.
        blocks = [{"block_type": "text", "text": blocks}]
    for block in blocks:
        if block.get("block_type") == "tool_call":
            called = block.pop("arguments")
            block["tool_kwargs"] = object_of(called) if block.pop("is_object") else called
    return item | {"blocks": blocks}
