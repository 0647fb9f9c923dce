"""A program that a checker of types has nothing to say against: each method of the history for LangChain, called once."""

from __future__ import annotations

import asyncio

from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from aral_store import AsyncStore, Store
from aral_store.langchain import AralChatMessageHistory


def main() -> None:
    with Store() as store:
        history = AralChatMessageHistory("user-7", store)
        base: BaseChatMessageHistory = history
        base.add_messages([HumanMessage("What shall we do?"), AIMessage("Let us see.")])
        found: list[BaseMessage] = history.last(1, whole_turns=True)
        with history.keyed("turn-2"):
            history.add_messages([HumanMessage("Go on.")])
        print(len(base.messages), [each.text for each in found])
        base.clear()


async def amain() -> None:
    async with await AsyncStore.open() as store:
        history = AralChatMessageHistory("user-7", store)
        await history.aadd_messages([HumanMessage("What shall we do?")], key="turn-1")
        read: list[BaseMessage] = await history.aget_messages()
        print(len(read), len(await history.alast(1)))
        await history.aclear()
        history.close()


if __name__ == "__main__":
    main()
    asyncio.run(amain())
