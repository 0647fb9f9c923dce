"""Sessions of Google's Agent Development Kit, kept in a store. It takes ``aral-store[adk]``.

>>> import asyncio
>>> from google.adk.events import Event
>>> from google.genai import types
>>> from aral_store import Store
>>> async def main():
...     service = AralSessionService(Store())
...     session = await service.create_session(app_name="planner", user_id="u7", session_id="s1", state={"day": 1})
...     text = types.UserContent("What shall we do?")
...     await service.append_event(session, Event(author="user", content=text))
...     again = await service.get_session(app_name="planner", user_id="u7", session_id="s1")
...     return again.state, again.events[0].content.parts[0].text
>>> asyncio.run(main())
({'day': 1}, 'What shall we do?')

Given to ``Runner(agent=…, app_name=…, session_service=service)``, it is the memory of that agent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from os import PathLike
from typing import Any
from uuid import uuid4
from weakref import WeakKeyDictionary, WeakValueDictionary

try:
    from google.adk.errors.already_exists_error import AlreadyExistsError
    from google.adk.errors.session_not_found_error import SessionNotFoundError
    from google.adk.events.event import Event
    from google.adk.sessions.base_session_service import BaseSessionService, GetSessionConfig, ListSessionsResponse
    from google.adk.sessions.session import Session
    from google.adk.sessions.state import State
except ImportError as _error:
    raise ImportError("aral_store.google_adk takes google-adk: pip install 'aral-store[adk]'") from _error

from ._async_store import AsyncStore, settled
from ._errors import AlreadyExists, Conflict, NotFound
from ._exact import check_comes_back, comes_back
from ._google_adk_events import event_of, mutation_of
from ._google_adk_sessions import Key, Sessions, stale, user_of
from ._json import decode, encode
from ._key import Key as StoreKey
from ._key import KeyFile
from ._lock import Lock
from ._owner import Owner, Owning
from ._store import Store

_Locks = WeakKeyDictionary[asyncio.AbstractEventLoop, WeakValueDictionary[Key, asyncio.Lock]]


class AralSessionService(Owning, BaseSessionService):
    """Keeps the sessions of ADK's agents in a store.

    It takes an open :class:`Store` or :class:`AsyncStore`, which stays open, or the path or URL of one, which it opens, with the
    ``key`` or ``key_file`` of an encrypted one, and :meth:`close` closes. A session is a conversation, ``adk:APP/USER/SESSION``; each event is a message of it, whose content
    is its text, and the state is in its actions. State that begins with ``app:`` or ``user:`` is that of all sessions of the app
    or of the user, and what begins with ``temp:`` is not stored. An event and the state that it changes are stored together or
    not at all, and are as durable as the store's ``sync`` says.

    An event is appended to the session as it was read: if somebody else has changed it since, ADK's ``StaleSessionError`` is
    raised and nothing is stored. The same event is not stored again. What would not come back equal, a tuple or an object of
    one's own in the state for example, raises :class:`InvalidInput`, which names it.

    A call that is cancelled raises ``CancelledError`` when it is settled: it was carried out, or never will be.
    """

    def __init__(
        self,
        store: Store | AsyncStore | str | PathLike[str],
        *,
        key: StoreKey | None = None,
        key_file: KeyFile | None = None,
    ) -> None:
        super().__init__()
        self._owner = Owner(store, key, key_file)
        self._sessions = Sessions(self._owner.store)
        self._guard = Lock(survives_fork=False)
        self._locks: _Locks = WeakKeyDictionary()

    async def create_session(
        self,
        *,
        app_name: str,
        user_id: str,
        state: dict[str, Any] | None = None,
        session_id: str | None = None,
    ) -> Session:
        """Begins a session. Raises ADK's ``AlreadyExistsError`` if there is one with the id."""
        id = (session_id or "").strip() or str(uuid4())
        key = (app_name, user_id, id)
        deltas = _parted(state or {})
        now = time.time()
        try:
            marker, whole = await self._run(lambda: self._sessions.create(key, deltas, now))
        except AlreadyExists as error:
            raise AlreadyExistsError(f"Session with id {id} already exists.") from error
        return _session(key, whole, [], now, marker)

    async def get_session(
        self, *, app_name: str, user_id: str, session_id: str, config: GetSessionConfig | None = None
    ) -> Session | None:
        """A session with its events, or those that ``config`` chooses: of those not before ``after_timestamp`` the newest
        ``num_recent_events``. ``None`` if there is no such session."""
        key = (app_name, user_id, _stripped(session_id))
        newest = None if config is None else config.num_recent_events
        after = None if config is None else config.after_timestamp

        def read() -> Session | None:
            found = self._sessions.read(key, newest, after)
            if found is None:
                return None
            events = list(_events(found.messages))
            if after is not None:
                events = [event for event in events if event.timestamp >= after]
            if newest is not None:
                events = events[max(len(events) - newest, 0) :]
            return _session(key, found.state, events, found.time, found.marker)

        return await self._run(read)

    async def list_sessions(self, *, app_name: str, user_id: str | None = None) -> ListSessionsResponse:
        """The sessions of an app, or of one user, without their events; the one that changed last comes last."""

        def read() -> ListSessionsResponse:
            found = [
                _session(key, state, [], time, marker)
                for key, state, time, marker in self._sessions.all(app_name, user_id)
            ]
            found.sort(key=lambda session: (session.last_update_time, session.user_id, session.id))
            return ListSessionsResponse(sessions=found)

        return await self._run(read)

    async def delete_session(self, *, app_name: str, user_id: str, session_id: str) -> None:
        """Ends a session. The states of the app and the user stay."""
        key = (app_name, user_id, _stripped(session_id))
        await self._run(lambda: self._sessions.remove(key))

    async def get_user_state(self, *, app_name: str, user_id: str) -> dict[str, Any]:
        """The state of a user, its names without ``user:``."""
        return await self._run(lambda: self._sessions.state(user_of(app_name, user_id)))

    async def append_event(self, session: Session, event: Event) -> Event:
        """Stores an event, changes the state as it says, and appends it to ``session`` too.

        Raises ADK's ``StaleSessionError`` if the session has changed since it was read, and ``SessionNotFoundError`` if it
        is not there. A partial event is not stored.
        """
        if event.partial:
            return event
        key = (session.app_name, session.user_id, session.id)
        # Parallel branches of an agent share one session object.
        async with self._lock_of(key):
            self._apply_temp_state(session, event)
            event = self._trim_temp_delta_state(event)
            if any(event.id == each.id and (event is each or comes_back(event, each)) for each in session.events):
                return event
            mutation = mutation_of(event)
            deltas = _parted(event.actions.state_delta)
            seen = _Seen(session)
            stored: list[str] = []
            try:
                await self._run(lambda: stored.append(self._append(key, seen, event, mutation, deltas)))
            finally:
                if stored:
                    # It is there, whatever has become of the caller meanwhile.
                    session._storage_update_marker = stored[0]
                    session.last_update_time = event.timestamp
                    self._commit_event_to_session(session, event)
            return event

    def _append(
        self, key: Key, seen: _Seen, event: Event, mutation: dict[str, Any], deltas: dict[str, dict[str, Any]]
    ) -> str:
        while True:
            now = self._sessions.now(key)
            if now is None:
                raise SessionNotFoundError(f"Session {key[2]} not found.")
            if seen.marker != now.marker:
                newest = list(_events(self._sessions.newest(key, 2)))
                ids = [each.id for each in newest]
                if newest and comes_back(event, newest[-1]) and ids[:-1][-1:] == seen.newest:
                    # An earlier try, of which the caller has not heard.
                    return now.marker
                if seen.marker is not None or ids[-1:] != seen.newest:
                    raise stale()
            try:
                return self._sessions.append(key, now, mutation, deltas)
            except (Conflict, NotFound):
                # Somebody else was faster, at the session or at a state that is shared.
                continue

    def _lock_of(self, key: Key) -> asyncio.Lock:
        with self._guard:
            locks = self._locks.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
            lock = locks.get(key)
            if lock is None:
                lock = locks[key] = asyncio.Lock()
            return lock


class _Seen:
    """How far a session object was read."""

    def __init__(self, session: Session) -> None:
        self.marker = session._storage_update_marker
        self.newest = [event.id for event in session.events[-1:]]


def _stripped(session_id: str) -> str:
    # ADK's own services take an id with blanks around it for the one without.
    return session_id.strip() if session_id else session_id


def _parted(state: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The state by whom it belongs to, in the form in which it will come back."""
    parted: dict[str, dict[str, Any]] = {"app": {}, "user": {}, "session": {}}
    for name, value in state.items():
        if name.startswith(State.TEMP_PREFIX):
            continue
        found = decode(encode(value))
        check_comes_back(f"state[{name!r}]", value, found)
        for whose, prefix in (("app", State.APP_PREFIX), ("user", State.USER_PREFIX), ("session", "")):
            if name.startswith(prefix):
                parted[whose][name.removeprefix(prefix)] = found
                break
    return parted


def _session(key: Key, state: dict[str, dict[str, Any]], events: list[Event], time: float, marker: str) -> Session:
    merged = dict(state["session"])
    merged |= {State.APP_PREFIX + name: value for name, value in state["app"].items()}
    merged |= {State.USER_PREFIX + name: value for name, value in state["user"].items()}
    app, user, id = key
    session = Session(app_name=app, user_id=user, id=id, state=merged, last_update_time=time)
    session.events = events
    session._storage_update_marker = marker
    return session


def _events(messages: Iterator[tuple[str, str, str, dict[str, Any]]]) -> Iterator[Event]:
    time = 0.0
    for id, role, content, metadata in messages:
        event = event_of(id, role, content, metadata, time)
        time = event.timestamp
        yield event
