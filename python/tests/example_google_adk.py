"""A program that a checker of types has nothing to say against: each method of the service for ADK, called once."""

from __future__ import annotations

import asyncio

from google.adk.events.event import Event
from google.adk.sessions.base_session_service import BaseSessionService, GetSessionConfig
from google.adk.sessions.session import Session

from aral_store import AsyncStore, Store
from aral_store.google_adk import AralSessionService


async def main() -> None:
    with Store() as store:
        service: BaseSessionService = AralSessionService(store)
        session: Session = await service.create_session(app_name="app", user_id="u7", state={"day": 1})
        event: Event = await service.append_event(session, Event(author="user"))
        config = GetSessionConfig(num_recent_events=1)
        again = await service.get_session(app_name="app", user_id="u7", session_id=session.id, config=config)
        assert again is not None and again.events == [event]
        listed: list[Session] = (await service.list_sessions(app_name="app")).sessions
        state: dict[str, object] = await service.get_user_state(app_name="app", user_id="u7")
        await service.delete_session(app_name="app", user_id="u7", session_id=session.id)
        print(len(listed), state)
    async with AralSessionService(await AsyncStore.open()) as own:
        await own.close()


if __name__ == "__main__":
    asyncio.run(main())
