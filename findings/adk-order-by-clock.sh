#!/usr/bin/env bash
# The services of Google's ADK that store sessions give their events in the order of the events' own times, and one of them tells by
# these times whether a session has changed.
#
# Seen with google-adk 2.13.0.
#
# The time of an event is when it was made, by the clock of whoever made it; it is stored later, and clocks go back. Of three events at 1000,
# 2000 and 1500 the session object has them as they were appended, and so has the in-memory service. What is read back from SQLite or
# another database has the third before the second: a tool's result may stand before its call. `last_update_time` is that of the event
# appended last, and so goes back too. `SqliteSessionService` compares with it: a copy of the session from before all three is not stale to it,
# and its event is stored. `DatabaseSessionService` notices, by a revision that it keeps beside the time.
#
# For whoever stores conversations: the order is that of the appending, and whether something has changed is told by a number that only
# grows. Tests whose events are a millisecond apart see neither.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet --disable-pip-version-check google-adk==2.13.0 'sqlalchemy[asyncio]>=2,<3'
"$home/venv/bin/python" -W ignore - "$home" <<'PROGRAM'
import asyncio
import sys
from importlib.metadata import version

from google.adk.errors._stale_session_error import StaleSessionError
from google.adk.events import Event
from google.adk.sessions import DatabaseSessionService, InMemorySessionService
from google.adk.sessions.sqlite_session_service import SqliteSessionService

print("google-adk", version("google-adk"))
WHOSE = {"app_name": "app", "user_id": "u", "session_id": "s"}


async def seen(service):
    session = await service.create_session(**WHOSE)
    stale = session.model_copy(deep=True)
    for author, time in (("first", 1000.0), ("second", 2000.0), ("third", 1500.0)):
        await service.append_event(session, Event(author=author, timestamp=time))
    read = [event.author for event in (await service.get_session(**WHOSE)).events]
    try:
        await service.append_event(stale, Event(author="stale"))
        is_noticed = False
    except StaleSessionError:
        is_noticed = True
    print(f"{type(service).__name__}: {read}, a stale copy is noticed: {is_noticed}")
    return read == [event.author for event in session.events], is_noticed


async def main():
    database = DatabaseSessionService(f"sqlite+aiosqlite:///{sys.argv[1]}/b.db")
    services = [InMemorySessionService(), SqliteSessionService(f"{sys.argv[1]}/a.db"), database]
    found = [await seen(service) for service in services]
    await database.close()
    # The in-memory service has no such check at all.
    assert found == [(True, False), (False, False), (False, True)], "the behaviour has changed"


asyncio.run(main())
PROGRAM
