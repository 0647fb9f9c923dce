"""Puts this store in the place of the Aral framework's own: ``import aral_store.aral``, first thing in the program.

From then on ``from aral.storage import MessageStore`` gives :class:`aral_store.MessageStore`, and so does every other
module of the framework that has the name, also one that is imported later. The same goes for ``Message``,
``Conversation`` and ``ConversationAction``. What the program itself has imported from the framework before stays what it
was, so this comes first.

Without the line everything is as before: the directory has been the original's all the time.

Raises ``ImportError`` where the framework is not installed. ``from aral_store import MessageStore`` works there too.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

from ._message_store import MessageStore
from ._models import Conversation, ConversationAction, Message

__all__ = ["Conversation", "ConversationAction", "Message", "MessageStore"]

_OURS: dict[str, Any] = {
    "Conversation": Conversation,
    "ConversationAction": ConversationAction,
    "Message": Message,
    "MessageStore": MessageStore,
}


def _framework() -> ModuleType:
    try:
        return importlib.import_module("aral.storage")
    except ModuleNotFoundError as error:
        if error.name not in ("aral", "aral.storage"):
            raise
        raise ImportError(
            "the Aral framework is not installed, so there is nothing to put this store in the place of; "
            "without the framework, use: from aral_store import MessageStore",
            name=error.name,
        ) from error


def _take_its_place() -> None:
    storage = _framework()
    theirs = {id(vars(storage)[name]): ours for name, ours in _OURS.items() if name in vars(storage)}
    if "MessageStore" not in vars(storage):
        raise ImportError("aral.storage has no MessageStore; this is not the framework that is known here", name="aral")
    for name, module in list(sys.modules.items()):
        if name == "aral" or name.startswith("aral."):
            for key, value in list(vars(module).items()):
                if id(value) in theirs:
                    setattr(module, key, theirs[id(value)])


_take_its_place()
