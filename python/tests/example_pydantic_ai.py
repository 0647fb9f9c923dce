"""A program that a checker of types has nothing to say against: each method of the history for Pydantic AI, called once."""

from __future__ import annotations

import asyncio

from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.test import TestModel

from aral_store import AsyncStore, Store
from aral_store.pydantic_ai import AralMessageHistory


async def main() -> None:
    with Store() as store:
        history = AralMessageHistory("user-7", store)
        result = await Agent(TestModel()).run("What shall we do?", message_history=history.messages())
        count: int = history.add(result.new_messages())
        found: list[ModelMessage] = history.messages(last=10, whole_turns=True)
        history.clear()
        print(count, len(found))
    async with await AsyncStore.open() as other:
        later = AralMessageHistory("user-7", other)
        await later.aadd(found)
        await later.amessages(last=1)
        await later.aclear()
        later.close()


if __name__ == "__main__":
    asyncio.run(main())
