"""A program that a checker of types has nothing to say against: the sessions for the OpenAI Agents SDK, as its protocol asks."""

from __future__ import annotations

import asyncio

from agents import TResponseInputItem
from agents.memory import Session, SessionSettings

from aral_store import AsyncStore, Store
from aral_store.openai_agents import AralSession
from aral_store.openai_agents_advanced import AralAdvancedSession

ITEMS: list[TResponseInputItem] = [
    {"role": "user", "content": "What shall we do?"},
    {"role": "assistant", "content": "Let us see."},
]


async def main() -> None:
    with Store() as store:
        session: Session = AralSession("user-7", store, session_settings=SessionSettings(limit=10))
        await session.add_items(ITEMS)
        read: list[TResponseInputItem] = await session.get_items(limit=1)
        popped: TResponseInputItem | None = await session.pop_item()
        assert read == [popped]
        await session.clear_session()
    async with await AsyncStore.open() as other:
        advanced = AralAdvancedSession("user-9", other)
        await advanced.add_items(ITEMS, key="once")
        branch: str = await advanced.create_branch_from_turn(1)
        await advanced.switch_to_branch("main")
        names: list[str] = [str(each["branch_id"]) for each in await advanced.list_branches()]
        usage: dict[str, int] | None = await advanced.get_session_usage()
        await advanced.delete_branch(branch)
        print(names, usage, await advanced.get_tool_usage(), await advanced.get_conversation_turns())
        advanced.close()


if __name__ == "__main__":
    asyncio.run(main())
