"""The sessions of ADK in a store, and the states of its apps, users and sessions.

A session is the conversation ``adk:APP/USER/SESSION``, its names quoted as in a URL. A state is what the actions ``state`` of a
conversation add up to, each of which has the names that were given a value. That of a session is in the session's own; that of an app or a
user is in ``adk-app:APP`` and ``adk-user:APP/USER``. So processes that set different names at once never disturb each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import chain
from typing import Any
from urllib.parse import quote, unquote

from google.adk.errors._stale_session_error import StaleSessionError

from ._errors import NotFound
from ._google_adk_events import EVENT
from ._json import decode
from ._store import Store

#: An app, a user and a session.
Key = tuple[str, str, str]

#: An id, a role, a content and metadata.
Message = tuple[str, str, str, dict[str, Any]]

_STATE = "state"

#: So many actions of a state become one.
_FOLDED = 64


@dataclass(frozen=True, slots=True)
class Now:
    """A conversation at one moment."""

    version: int
    seq: int
    messages: int
    actions: int
    created_at: str

    @property
    def marker(self) -> str:
        """What tells this moment from any other, also of a conversation that was removed and begun anew."""
        return f"{self.version}.{self.seq}"


@dataclass(frozen=True, slots=True)
class Read:
    """A session as it was at one moment."""

    state: dict[str, dict[str, Any]]
    messages: Iterator[Message]
    time: float
    marker: str


def stale() -> StaleSessionError:
    """What is raised if a session has changed since it was read."""
    return StaleSessionError(
        "The session has been modified in storage since it was loaded: reload it before appending more events."
    )


def _id(kind: str, *names: str) -> str:
    return kind + "/".join(quote(name, safe="", errors="surrogatepass") for name in names)


def app_of(app: str) -> str:
    """The conversation that has the state of an app."""
    return _id("adk-app:", app)


def user_of(app: str, user: str) -> str:
    """The conversation that has the state of a user."""
    return _id("adk-user:", app, user)


def session_of(key: Key) -> str:
    """The conversation of a session."""
    return _id("adk:", *key)


class Sessions:
    """The sessions of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    # Reading.

    def now(self, key: Key) -> Now | None:
        """A session at this moment, or ``None`` if there is none."""
        return self._now(session_of(key))

    def _now(self, id: str) -> Now | None:
        row = self._store._core.summary(id)
        return None if row is None else Now(row[5], row[7], row[3], row[4], row[2])

    def newest(self, key: Key, count: int) -> Iterator[Message]:
        """The newest messages of a session, oldest first."""
        return self._messages(session_of(key), count, None)

    def _messages(self, id: str, count: int | None, since: str | None) -> Iterator[Message]:
        if count == 0:
            return iter(())
        try:
            ids, roles, contents, texts = self._store._core.columns(
                id, (None, count, None, None, None, None, since, None, False)
            )
        except NotFound:
            return iter(())
        return zip(ids, roles, contents, chain.from_iterable(map(decode, texts)))

    def read(self, key: Key, newest: int | None, after: float | None) -> Read | None:
        """A session with its newest messages. Where a time is given there may be some from before it."""
        id = session_of(key)
        since = None
        if after is not None and newest != 0:
            # The time of a message has fewer digits than that of its event.
            newest, since = None, _moment(after - 0.001)
        while True:
            before = self._now(id)
            if before is None:
                return None
            actions = self._actions(id) if before.actions else []
            messages = self._messages(id, newest, since)
            time = self._time(id, before, actions)
            state = self._states(key) | {"session": _sum(actions)}
            after_all = self._now(id)
            if after_all is not None and after_all.marker == before.marker:
                return Read(state, messages, time, before.marker)

    def all(self, app: str, user: str | None) -> Iterator[tuple[Key, dict[str, dict[str, Any]], float, str]]:
        """The sessions of an app, or of one user, each with its states, its time and its marker."""
        begin = _id("adk:", app) + "/" if user is None else _id("adk:", app, user) + "/"
        of_users: dict[str, dict[str, Any]] = {}
        of_app = self.state(app_of(app))
        for row in self._store._core.summaries(by_activity=False, limit=None, after=None):
            names = row[0].removeprefix("adk:").split("/")
            if not row[0].startswith(begin) or len(names) != 3:
                continue
            key = (app, unquote(names[1], errors="surrogatepass"), unquote(names[2], errors="surrogatepass"))
            now = Now(row[5], row[7], row[3], row[4], row[2])
            actions = self._actions(row[0])
            if key[1] not in of_users:
                of_users[key[1]] = self.state(user_of(app, key[1]))
            # Each session has a state of its own, as if it had been read alone.
            state = {"app": dict(of_app), "user": dict(of_users[key[1]]), "session": _sum(actions)}
            yield key, state, self._time(row[0], now, actions), now.marker

    def state(self, id: str) -> dict[str, Any]:
        """What the state of a conversation adds up to."""
        return _sum(self._actions(id))

    def _states(self, key: Key) -> dict[str, dict[str, Any]]:
        return {"app": self.state(app_of(key[0])), "user": self.state(user_of(key[0], key[1]))}

    def _actions(self, id: str) -> list[dict[str, Any]]:
        try:
            actions = decode(self._store._core.actions(id))
        except NotFound:
            return []
        return [each for each in actions if each["action_type"] == _STATE and isinstance(each["data"].get("set"), dict)]

    def _time(self, id: str, now: Now, actions: list[dict[str, Any]]) -> float:
        """When a session changed last, as ADK tells it: the time of its newest event, or of its beginning."""
        for _, _, _, metadata in self._messages(id, 1 if now.messages else 0, None):
            kept = metadata.get(EVENT)
            event = kept.get("data") if isinstance(kept, dict) else None
            time = event.get("timestamp") if isinstance(event, dict) else None
            if isinstance(time, (int, float)):
                return float(time)
        for action in actions:
            if isinstance(action["data"].get("time"), float):
                return float(action["data"]["time"])
        return datetime.fromisoformat(now.created_at).timestamp()

    # Writing.

    def create(
        self, key: Key, deltas: dict[str, dict[str, Any]], time: float
    ) -> tuple[str, dict[str, dict[str, Any]]]:
        """Begins a session; its marker and its states."""
        id = session_of(key)
        mutations = [
            {"type": "create_conversation", "conversation_id": id},
            _addition(id, deltas["session"]) | {"data": {"set": deltas["session"], "time": time}},
            *(_addition(whose, delta) for whose, delta in _shared(key, deltas) if delta),
        ]
        receipt = self._store.batch(mutations)[1]
        return f"{receipt.version}.{receipt.seq}", self._states(key) | {"session": deltas["session"]}

    def append(self, key: Key, now: Now, message: dict[str, Any], deltas: dict[str, dict[str, Any]]) -> str:
        """Adds a message and changes the states, if the session is as it was; its marker.

        Raises :class:`Conflict` or :class:`NotFound` if it is not, or if somebody else was at a state that is shared.
        """
        id = session_of(key)
        own = self._changes(id, now, deltas["session"])
        shared = [each for whose, delta in _shared(key, deltas) for each in self._shared_changes(whose, delta)]
        # A copy, because it may be tried again.
        receipts = self._store.batch([message | {"conversation_id": id, "expect": now.version}, *own, *shared])
        last = receipts[len(own)]
        return f"{last.version}.{last.seq}"

    def _shared_changes(self, id: str, delta: dict[str, Any]) -> list[dict[str, Any]]:
        now = self._now(id) if delta else None
        changes = self._changes(id, now, delta)
        if len(changes) > 1 and now is not None:
            changes[0]["expect"] = now.version
        return changes

    def _changes(self, id: str, now: Now | None, delta: dict[str, Any]) -> list[dict[str, Any]]:
        """What adds to a state, and makes one action of it where there are many."""
        if not delta:
            return []
        if now is None or now.actions < _FOLDED:
            return [_addition(id, delta)]
        actions = self._actions(id)
        removals = [{"type": "remove_action", "conversation_id": id, "action_id": each["id"]} for each in actions]
        addition = _addition(id, _sum(actions) | delta)
        times = [each["data"]["time"] for each in actions if "time" in each["data"]]
        if times:
            addition["data"]["time"] = times[0]
        return [*removals, addition]

    def remove(self, key: Key) -> None:
        """Ends a session, if there is one."""
        try:
            self._store.remove(session_of(key))
        except NotFound:
            pass


def _shared(key: Key, deltas: dict[str, dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    return [(app_of(key[0]), deltas["app"]), (user_of(key[0], key[1]), deltas["user"])]


def _addition(id: str, delta: dict[str, Any]) -> dict[str, Any]:
    return {"type": "add_action", "conversation_id": id, "action_type": _STATE, "data": {"set": delta}}


def _sum(actions: list[dict[str, Any]]) -> dict[str, Any]:
    state: dict[str, Any] = {}
    for action in actions:
        state |= action["data"]["set"]
    return state


def _moment(time: float) -> str | None:
    try:
        return datetime.fromtimestamp(time, timezone.utc).isoformat()
    except (OverflowError, OSError, ValueError):
        return None
