"""A program that a checker of types has nothing to say against: each method of the provider for Agent Framework, called once."""

from __future__ import annotations

import asyncio

from agent_framework import HistoryProvider, Message

from aral_store import AsyncStore, Store
from aral_store.agent_framework import AralHistoryProvider


async def main() -> None:
    with Store() as store:
        own = AralHistoryProvider(store, source_id="audit", limit=10, whole_turns=True, skip_replays=False)
        history: HistoryProvider = own
        await history.save_messages("user-7", [Message("user", ["What shall we do?"])])
        found: list[Message] = await history.get_messages("user-7")
        print(found[0].text)
        await own.clear("user-7")
    async with AralHistoryProvider(await AsyncStore.open()) as other:
        await other.close()


if __name__ == "__main__":
    asyncio.run(main())
