"""Puts this store in the place of the Aral framework's own: ``import aral_store.aral``, first thing in the program.

From then on ``from aral.storage import MessageStore`` gives :class:`aral_store.MessageStore`, and so does every other
module of the framework that has the name. The same goes for ``Message``, ``Conversation`` and ``ConversationAction``, and
for ``src.aral.storage``, by which programs and tests in the framework's own folder import it. The framework need not be
on ``sys.path`` yet. What the program itself has imported from it before stays what it was, so this comes first.

Without the line everything is as before: the directory has been the original's all the time. Where the framework is not
installed, ``from aral_store import MessageStore`` does.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
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

#: The framework as it is installed, and as it is called in its own folder.
_ROOTS = ("aral", "src.aral")


def _take_its_place(root: str) -> None:
    """Replaces the classes in every module of the framework that has been imported so far."""
    storage = vars(sys.modules[f"{root}.storage"])
    if "MessageStore" not in storage:
        raise ImportError(f"{root}.storage has no MessageStore; this is not the framework that is known here", name=root)
    theirs = {id(storage[name]): ours for name, ours in _OURS.items() if name in storage}
    for name, module in list(sys.modules.items()):
        if name == root or name.startswith(f"{root}."):
            for key, value in list(vars(module).items()):
                if id(value) in theirs:
                    setattr(module, key, theirs[id(value)])


class _WhenItIsImported(MetaPathFinder):
    """Finds the framework's storage as Python does, and takes its place as soon as it has been run."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        root = fullname.removesuffix(".storage")
        if root == fullname or root not in _ROOTS:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        found = (finder.find_spec(fullname, path, target) for finder in others if hasattr(finder, "find_spec"))
        spec = next((spec for spec in found if spec is not None), None)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def run_and_replace(module: ModuleType) -> None:
                run(module)
                _take_its_place(root)

            setattr(spec.loader, "exec_module", run_and_replace)
        return spec


for _root in _ROOTS:
    if f"{_root}.storage" in sys.modules:
        _take_its_place(_root)
if not any(type(finder).__name__ == _WhenItIsImported.__name__ for finder in sys.meta_path):
    sys.meta_path.insert(0, _WhenItIsImported())
