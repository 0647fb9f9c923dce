"""A session of the OpenAI Agents SDK with branches and the usage of each turn. It takes ``aral-store[openai-agents]``.

>>> import asyncio
>>> from aral_store import Store
>>> async def main():
...     session = AralAdvancedSession("user-7", Store())
...     for text in ("Hello!", "What shall we do?"):
...         await session.add_items([{"role": "user", "content": text}])
...     await session.create_branch_from_turn(2, "another try")
...     await session.add_items([{"role": "user", "content": "Surprise me."}])
...     return [item["content"] for item in await session.get_items()]
>>> asyncio.run(main())
['Hello!', 'Surprise me.']

It has the methods of the SDK's ``AdvancedSQLiteSession``.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, cast

from ._adapter import Adapter
from ._async_store import AsyncStore
from ._errors import AlreadyExists, Conflict, InvalidInput, NotFound
from ._json import decode, encode
from ._store import Store
from .openai_agents import _ITEM, AralSession, _item, _mutations

if TYPE_CHECKING:
    from agents import TResponseInputItem
    from agents.memory.session_settings import SessionSettings
    from agents.result import RunResult

    from ._models import ConversationAction, Message

_MAIN = "main"

#: The types of the actions that tell of branches and of usage.
_BRANCH = "branch"
_USAGE = "usage"

#: What has no name of its own but that of its type.
_NAMED_BY_TYPE = frozenset(
    {
        "computer_call",
        "file_search_call",
        "web_search_call",
        "code_interpreter_call",
        "shell_call",
        "apply_patch_call",
    }
)

#: The types that are calls of a tool.
_CALLS = _NAMED_BY_TYPE | {
    "tool_call",
    "function_call",
    "tool_search_call",
    "custom_tool_call",
    "mcp_call",
    "mcp_approval_request",
}


class AralAdvancedSession(AralSession):
    """An :class:`AralSession` whose conversation has branches, and knows what each turn has used.

    The branch ``main`` is the conversation of the session's id. Another branch is a conversation of its own,
    ``ID/branch/NAME``, which begins with copies of the messages before its turn. Which names were used, and the usage, is in
    the actions of ``ID/branches``. The branch that a session object is on is its own.

    Turns are counted from 1, by the user's messages; what comes before the first one is turn 0. A name that was used once is
    not given again, also after the branch was deleted.
    """

    def __init__(
        self,
        session_id: str,
        store: Store | AsyncStore,
        *,
        session_settings: SessionSettings | dict[str, Any] | None = None,
        whole_turns: bool = False,
    ) -> None:
        super().__init__(session_id, store, session_settings=session_settings, whole_turns=whole_turns)
        self._branch = _MAIN
        self._registry = f"{session_id}/branches"

    @property
    def current_branch(self) -> str:
        """The branch that is read and added to."""
        return self._branch

    # What a session does, on a branch.

    async def get_items(
        self, limit: int | None = None, branch_id: str | None = None, *, whole_turns: bool | None = None
    ) -> list[TResponseInputItem]:
        """The items of the current branch, or of another one. See :meth:`AralSession.get_items`."""
        last = self._last(limit)
        whole = self.whole_turns if whole_turns is None else whole_turns
        return await self._run(lambda: self._on(self._asked(branch_id))._read_items(_ITEM, _item, last, whole))

    async def add_items(self, items: list[TResponseInputItem], *, key: str | None = None) -> None:
        """Adds items to the current branch. See :meth:`AralSession.add_items`."""
        self._check_open()
        key, branch = self._key(key), self._branch
        mutations = _mutations(self.session_id, items)
        await self._run(lambda: self._add_to(branch, mutations, key))

    def _add_to(self, branch: str, mutations: list[dict[str, Any]], key: str | None) -> None:
        while mutations:
            at = self._existing(branch)
            id = self._conversation(at)
            given = [mutation | {"conversation_id": id} for mutation in mutations]
            if at != _MAIN:
                summary = self._store.summary(id)
                # Only to a branch that is there; it would begin anew otherwise, without what was before it.
                given[0]["expect"] = 0 if summary is None else summary.version
            try:
                return self._add(given, key)
            except Conflict:
                if at == _MAIN or self._store.summary(id) == summary:
                    raise
        self._check_open()

    async def pop_item(self) -> TResponseInputItem | None:
        """Takes the newest item of the current branch away. Its copies on other branches stay."""
        branch = self._branch
        newest = await self._run(lambda: self._on(self._existing(branch))._pop())
        return None if newest is None else cast("TResponseInputItem", _item(*newest))

    async def clear_session(self) -> None:
        """Takes the items of all branches away, the branches, and the usage, all at once. Names stay used."""
        await self._run(self._clear_all)

    def _clear_all(self) -> None:
        while True:
            self._check_open()
            main, registry = self._store.summary(self.session_id), self._store.summary(self._registry)
            mutations: list[dict[str, Any]] = []
            if main is not None and main.messages:
                ids = [] if not main.actions else self._on(_MAIN)._read(None)[0]
                # Actions are no items, and stay.
                mutations += [
                    {"type": "remove_message", "conversation_id": self.session_id, "message_id": id}
                    for id in reversed(ids)
                ] or [{"type": "clear", "conversation_id": self.session_id}]
                mutations[0]["expect"] = main.version
            if registry is not None and registry.actions:
                actions = self._store.actions(self._registry)
                removals: list[dict[str, Any]] = [
                    {"type": "remove_action", "conversation_id": self._registry, "action_id": action.id}
                    for action in actions
                    if action.action_type == _USAGE
                ]
                if removals:
                    removals[0]["expect"] = registry.version
                mutations += removals
                branches = [self._conversation(action.data["id"]) for action in actions if action.action_type == _BRANCH]
                mutations += [
                    {"type": "remove_conversation", "conversation_id": id}
                    for id in branches
                    if self._store.summary(id) is not None
                ]
            try:
                if mutations:
                    self._store.batch(mutations)
                self._branch = _MAIN
                return
            except (Conflict, NotFound):
                # Somebody has changed it meanwhile.
                continue

    # Branches.

    async def create_branch_from_turn(self, turn_number: int, branch_name: str | None = None) -> str:
        """Begins a branch with what is before a turn of the current one, and goes to it; gives its name.

        Raises :class:`InvalidInput`, a ``ValueError``, if there is no such turn, or the name is blank or was used before.
        """
        if branch_name is not None and not branch_name.strip():
            raise InvalidInput("Branch name cannot be empty: give one, or none")
        source = self._branch
        return await self._run(lambda: self._create(self._existing(source), turn_number, branch_name))

    def _create(self, source: str, turn: int, name: str | None) -> str:
        while True:
            registry = self._store.summary(self._registry)
            used = {_MAIN, *self._used()}
            if name is not None and name in used:
                raise InvalidInput(f"{name!r} has already been used in this session: choose another name")
            branch = name or _unused(f"branch_from_turn_{turn}_{int(time.time())}", used)
            messages = self._messages(source)
            if not any(n == turn and message.role == "user" for n, message in _by_turn(messages)):
                raise InvalidInput(f"Turn {turn} does not contain a user message, on the branch {source!r}")
            id = self._conversation(branch)
            told = {"id": branch, "from": source, "turn": turn}
            batch: list[dict[str, Any]] = [
                {"type": "add_action", "conversation_id": self._registry, "action_type": _BRANCH, "data": told},
                {"type": "create_conversation", "conversation_id": id, "title": branch},
                *(_copy(id, message) for n, message in _by_turn(messages) if n < turn),
            ]
            batch[0]["expect"] = 0 if registry is None else registry.version
            try:
                self._store.batch(batch)
                self._branch = branch
                return branch
            except Conflict:
                continue
            except AlreadyExists as error:
                raise InvalidInput(f"there is a conversation {id!r} already: choose another name") from error

    async def create_branch_from_content(self, search_term: str, branch_name: str | None = None) -> str:
        """Begins a branch with what is before the first turn of the user's in which a text occurs, and goes to it."""
        found = await self.find_turns_by_content(search_term)
        if not found:
            raise InvalidInput(f"No user turns found containing {search_term!r}")
        return await self.create_branch_from_turn(found[0]["turn"], branch_name)

    async def switch_to_branch(self, branch_id: str) -> None:
        """Goes to another branch. Raises :class:`InvalidInput`, a ``ValueError``, if there is none of this name."""
        def work() -> None:
            self._check_branch(branch_id)
            self._branch = branch_id

        await self._run(work)

    async def delete_branch(self, branch_id: str, force: bool = False) -> None:
        """Removes a branch with its items and usage; with ``force`` the current one too, from which it goes to ``main``."""
        if not branch_id.strip():
            raise InvalidInput("Branch ID cannot be empty")
        if branch_id == _MAIN:
            raise InvalidInput("Cannot delete the 'main' branch: clear_session() empties all")
        if branch_id == self._branch and not force:
            raise InvalidInput(f"Cannot delete current branch {branch_id!r}: go to another one, or say force=True")
        await self._run(lambda: self._delete(branch_id))

    def _delete(self, branch: str) -> None:
        while True:
            self._check_branch(branch)
            usage = [action for action in self._usage() if action.data["branch"] == branch]
            removals = [
                {"type": "remove_action", "conversation_id": self._registry, "action_id": action.id} for action in usage
            ]
            try:
                self._store.batch([{"type": "remove_conversation", "conversation_id": self._conversation(branch)}, *removals])
                # Here, in the thread, so that it is so for a call that was cancelled too.
                self._branch = _MAIN if self._branch == branch else self._branch
                return
            except (Conflict, NotFound):
                continue

    async def list_branches(self) -> list[dict[str, Any]]:
        """The branches, ``main`` first: of each ``branch_id``, ``message_count``, ``user_turns``, ``is_current``, ``created_at``."""
        current = self._branch

        def work() -> list[dict[str, Any]]:
            at, listed = self._existing(current), []
            for branch in (_MAIN, *self._used()):
                summary = self._store.summary(self._conversation(branch))
                if summary is not None and (summary.messages or branch != _MAIN):
                    listed.append(
                        {
                            "branch_id": branch,
                            "message_count": summary.messages,
                            "user_turns": len(self._users(branch)),
                            "is_current": branch == at,
                            "created_at": summary.created_at.isoformat(),
                        }
                    )
            return listed

        return await self._run(work)

    # Turns.

    async def get_conversation_turns(self, branch_id: str | None = None) -> list[dict[str, Any]]:
        """The user's messages: of each ``turn``, ``content`` (its beginning), ``full_content``, ``timestamp``, ``can_branch``."""
        return [turn | {"content": _begun(turn["content"])} for turn in await self._turns(branch_id)]

    async def find_turns_by_content(self, search_term: str, branch_id: str | None = None) -> list[dict[str, Any]]:
        """The same of those in which a text occurs, capital or not, with the whole of ``content``."""
        wanted = _lowered(search_term)
        return [turn for turn in await self._turns(branch_id) if any(wanted in _lowered(text) for text in _texts(turn))]

    async def _turns(self, branch_id: str | None) -> list[dict[str, Any]]:
        def work() -> list[dict[str, Any]]:
            turns = []
            for n, message in _by_turn(self._messages(self._asked(branch_id))):
                if message.role == "user":
                    content = _as_item(message).get("content", "")
                    shown = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
                    at = message.created_at.isoformat()
                    turns.append({"turn": n, "content": shown, "full_content": content, "timestamp": at, "can_branch": True})
            return turns

        return await self._run(work)

    async def get_conversation_by_turns(self, branch_id: str | None = None) -> dict[int, list[dict[str, str | None]]]:
        """The ``type`` and the ``tool_name`` of each item, by turn."""
        turns: dict[int, list[dict[str, str | None]]] = {}
        for n, item in await self._items_by_turn(branch_id):
            turns.setdefault(n, []).append({"type": _type(item), "tool_name": _tool(item)})
        return turns

    async def get_tool_usage(self, branch_id: str | None = None) -> list[tuple[str, int, int]]:
        """How often each tool was called in each turn: its name, the number, and the turn."""
        counts: dict[tuple[int, str], int] = {}
        found = [(n, _type(item), _tool(item)) for n, item in await self._items_by_turn(branch_id)]
        searched = {(n, tool) for n, kind, tool in found if kind == "tool_search_call"}
        for n, kind, tool in found:
            # Of some providers there is the output of a search and no call.
            if tool and (kind in _CALLS or (kind == "tool_search_output" and (n, tool) not in searched)):
                counts[n, tool] = counts.get((n, tool), 0) + 1
        return [(tool, count, n) for (n, tool), count in sorted(counts.items())]

    async def _items_by_turn(self, branch_id: str | None) -> list[tuple[int, dict[str, Any]]]:
        def work() -> list[tuple[int, dict[str, Any]]]:
            messages = self._messages(self._asked(branch_id))
            return [(n, _as_item(message)) for n, message in _by_turn(messages)]

        return await self._run(work)

    # Usage.

    async def store_run_usage(self, result: RunResult) -> None:
        """Stores what a run has used, for the newest turn of the current branch, in the place of what was stored for it."""
        usage, branch = result.context_wrapper.usage, self._branch
        if usage is None:
            return
        used: dict[str, Any] = {
            name: getattr(usage, name, 0) or 0 for name in ("requests", "input_tokens", "output_tokens", "total_tokens")
        }
        for name in ("input_tokens_details", "output_tokens_details"):
            details = getattr(usage, name, None)
            used[name] = decode(encode(vars(details))) if details else None
        await self._run(lambda: self._store_usage(branch, used))

    def _store_usage(self, branch: str, used: dict[str, Any]) -> None:
        while True:
            registry = self._store.summary(self._registry)
            turns = self._anchors(branch)
            if branch != self._existing(branch) or not turns:
                # The turn was taken away meanwhile.
                return
            turn = max(turns)
            data = {"branch": branch, "turn": turn, "anchor": turns[turn], **used}
            before = [each for each in self._usage() if (each.data["branch"], each.data["turn"]) == (branch, turn)]
            expect = 0 if registry is None else registry.version
            try:
                if before:
                    self._store.edit_action(self._registry, before[-1].id, data=data, expect=expect)
                else:
                    self._store.add_action(self._registry, _USAGE, data, expect=expect)
                return
            except (Conflict, NotFound):
                continue

    async def get_session_usage(self, branch_id: str | None = None) -> dict[str, int] | None:
        """What all turns have used together, of one branch or of all; ``None`` if nothing is known."""
        found = await self._run(lambda: self._used_by(None if branch_id is None else [branch_id]))
        if not found:
            return None
        names = ("requests", "input_tokens", "output_tokens", "total_tokens")
        return {name: sum(each[name] for each in found) for name in names} | {"total_turns": len(found)}

    async def get_turn_usage(
        self, user_turn_number: int | None = None, branch_id: str | None = None
    ) -> list[dict[str, Any]] | dict[str, Any]:
        """What each turn of a branch has used, or one turn, with the details; ``{}`` if that is not known."""
        found = await self._run(lambda: self._used_by([self._asked(branch_id)]))
        turns = {each["turn"]: {name: each[name] for name in each if name not in ("branch", "turn", "anchor")} for each in found}
        if user_turn_number is not None:
            return turns.get(user_turn_number, {})
        return [{"user_turn_number": turn} | turns[turn] for turn in sorted(turns)]

    def _used_by(self, branches: list[str] | None) -> list[dict[str, Any]]:
        """The usage of turns that are still there."""
        anchors: dict[str, dict[int, str]] = {}
        found = []
        for data in (action.data for action in self._usage()):
            branch = data["branch"]
            if branches is not None and branch not in branches:
                continue
            if branch not in anchors:
                anchors[branch] = self._anchors(branch)
            if anchors[branch].get(data["turn"]) == data["anchor"]:
                found.append(data)
        return found

    # What they share.

    def _conversation(self, branch: str) -> str:
        return self.session_id if branch == _MAIN else f"{self.session_id}/branch/{branch}"

    def _on(self, branch: str) -> Adapter:
        return Adapter(self._conversation(branch), self._owner)

    def _existing(self, branch: str) -> str:
        """A branch, or ``main`` if it was taken away, as by a clearing."""
        is_there = branch == _MAIN or self._store.summary(self._conversation(branch)) is not None
        return branch if is_there else _MAIN

    def _asked(self, branch: str | None) -> str:
        return self._existing(self._branch) if branch is None else branch

    def _check_branch(self, branch: str) -> None:
        if branch != _MAIN and (branch not in self._used() or self._existing(branch) != branch):
            raise InvalidInput(f"Branch {branch!r} does not exist")

    def _actions(self, kind: str) -> list[ConversationAction]:
        try:
            return [action for action in self._store.actions(self._registry) if action.action_type == kind]
        except NotFound:
            return []

    def _used(self) -> list[str]:
        return [action.data["id"] for action in self._actions(_BRANCH)]

    def _usage(self) -> list[ConversationAction]:
        return self._actions(_USAGE)

    def _messages(self, branch: str) -> list[Message]:
        try:
            return self._store.messages(self._conversation(branch))
        except NotFound:
            return []

    def _users(self, branch: str) -> list[str]:
        selection = (None, None, None, None, None, "user", None, None, False)
        try:
            return self._store._core.columns(self._conversation(branch), selection)[0]
        except NotFound:
            return []

    def _anchors(self, branch: str) -> dict[int, str]:
        """The id of the first message of each turn, by which it is known to be the same turn."""
        selection = (1, None, None, None, None, None, None, None, False)
        try:
            ids, roles, _, _ = self._store._core.columns(self._conversation(branch), selection)
        except NotFound:
            return {}
        before = dict(enumerate(ids)) if roles != ["user"] else {}
        return before | dict(enumerate(self._users(branch), 1))


def _by_turn(messages: list[Message]) -> list[tuple[int, Message]]:
    turn, found = 0, []
    for message in messages:
        turn += message.role == "user"
        found.append((turn, message))
    return found


def _copy(conversation_id: str, message: Message) -> dict[str, Any]:
    return {
        "type": "add_message",
        "conversation_id": conversation_id,
        "id": message.id,
        "role": message.role,
        "content": message.content,
        "created_at": message.created_at.isoformat(),
        "metadata": dict(message.metadata),
    }


def _unused(name: str, used: set[str]) -> str:
    names = (name if n == 1 else f"{name}_{n}" for n in range(1, len(used) + 2))
    return next(each for each in names if each not in used)


def _as_item(message: Message) -> dict[str, Any]:
    return _item(message.role, message.content, dict(message.metadata))


def _type(item: dict[str, Any]) -> str:
    role = item.get("role")
    return str(role if role in ("user", "assistant") else item.get("type") or "other")


def _tool(item: dict[str, Any]) -> str | None:
    kind, name, namespace = item.get("type"), item.get("name"), item.get("namespace")
    if kind in ("mcp_call", "mcp_approval_request") and item.get("server_label"):
        return ".".join(str(each) for each in (item["server_label"], name) if each)
    if kind in ("tool_search_call", "tool_search_output"):
        return "tool_search"
    if kind in _NAMED_BY_TYPE:
        return str(kind)
    if name is None:
        return None
    return f"{namespace}.{name}" if namespace and namespace != name else str(name)


def _begun(text: str) -> str:
    return text if len(text) <= 100 else text[:100] + "..."


def _texts(turn: dict[str, Any]) -> list[str]:
    content = turn["full_content"]
    if isinstance(content, str):
        return [content]
    return [part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)]


_LOWER = {ord(letter): letter.lower() for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


def _lowered(text: str) -> str:
    """A text without capital letters of ASCII; the SDK tells others apart."""
    return text.translate(_LOWER)
