"""A program that a checker of types has nothing to say against: each method of the adapters for LangGraph, called once."""

# LangGraph's own methods have types that are not known whole.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import asyncio
from typing import TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.graph import START, StateGraph
from langgraph.store.base import BaseStore, Item, SearchItem

from aral_store import AsyncStore, Store
from aral_store.langgraph import AralBaseStore, AralSaver


class State(TypedDict):
    count: int


def add(state: State) -> State:
    return {"count": state["count"] + 1}


CONFIG: RunnableConfig = {"configurable": {"thread_id": "t1"}}


def main() -> None:
    with Store() as store, AralSaver(store) as saver:
        checkpointer: BaseCheckpointSaver[str] = saver
        memories: BaseStore = AralBaseStore(store)
        builder = StateGraph(State)
        builder.add_node("add", add)
        builder.add_edge(START, "add")
        graph = builder.compile(checkpointer=checkpointer, store=memories)
        assert graph.invoke({"count": 1}, CONFIG)["count"] == 2
        found: CheckpointTuple | None = saver.get_tuple(CONFIG)
        assert found is not None and found.metadata.get("step") == 1
        listed: list[CheckpointTuple] = list(saver.list(CONFIG, filter={"source": "loop"}, limit=2))
        assert len(listed) == 2
        saver.put_writes(found.config, [("count", 1)], "task", "~path")
        saver.put(found.config, found.checkpoint, found.metadata, found.checkpoint["channel_versions"])
        saver.copy_thread("t1", "t2")
        saver.prune(["t2"])
        saver.delete_for_runs(["run"])
        saver.delete_thread("t2")
        memories.put(("users", "u7"), "tea", {"likes": "green"})
        item: Item | None = memories.get(("users", "u7"), "tea")
        assert item is not None and item.value == {"likes": "green"}
        print(memories.list_namespaces(prefix=("users",)))


async def amain() -> None:
    async with await AsyncStore.open() as store, AralSaver(store) as saver, AralBaseStore(store) as memories:
        assert await saver.aget_tuple(CONFIG) is None
        assert [each async for each in saver.alist(CONFIG)] == []
        await saver.adelete_thread("t1")
        await memories.aput(("users",), "tea", {"n": 1})
        found: list[SearchItem] = await memories.asearch(("users",))
        print([each.key for each in found])


if __name__ == "__main__":
    main()
    asyncio.run(amain())
