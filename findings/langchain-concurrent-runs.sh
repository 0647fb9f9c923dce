#!/usr/bin/env bash
# Two runs of one LangChain conversation at the same time: a user's question is not stored, and its answer is.
#
# Seen with langchain-core 1.8.3 (RunnableWithMessageHistory, deprecated there and still widely used).
#
# Before a run the history is put in front of what was asked. After it, as many messages are cut off the front of the
# input as the history has by then. If another run has ended meanwhile, that is more than were put there, and the cut
# takes the new question with it. Nothing is raised and nothing is logged.
#
# For whoever stores conversations: a store that appends atomically cannot prevent it, since the question is never handed
# to it. Runs of one conversation have to be made one after the other, or the question has to be added by the caller,
# with a key, before the run. An answer without a question in a stored history is no sign of a damaged store.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet --disable-pip-version-check langchain-core==1.8.3
"$home/venv/bin/python" -W ignore - <<'PROGRAM'
import asyncio
import warnings
from importlib.metadata import version

from langchain_core.chat_history import InMemoryChatMessageHistory
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.runnables.history import RunnableWithMessageHistory

warnings.simplefilter("ignore")
history = InMemoryChatMessageHistory()


async def run_of(question, is_asked, may_answer):
    async def model(messages):
        is_asked.set()
        await may_answer.wait()
        return AIMessage("answer to " + messages[-1].content)

    def never(messages):
        raise NotImplementedError

    chain = RunnableWithMessageHistory(RunnableLambda(never, afunc=model), lambda session_id: history)
    await chain.ainvoke([HumanMessage(question)], {"configurable": {"session_id": "s"}})


async def stored(is_side_by_side):
    history.clear()
    is_asked, may_answer, at_once = asyncio.Event(), asyncio.Event(), asyncio.Event()
    at_once.set()
    first = asyncio.create_task(run_of("first", is_asked, may_answer if is_side_by_side else at_once))
    # The first run has read the history once its model is asked.
    await (is_asked.wait() if is_side_by_side else first)
    await run_of("second", asyncio.Event(), at_once)
    may_answer.set()
    await first
    return [f"{message.type}: {message.content}" for message in history.messages]


print("langchain-core", version("langchain-core"))
one_by_one = asyncio.run(stored(False))
side_by_side = asyncio.run(stored(True))
print("one after the other:", one_by_one)
print("side by side:       ", side_by_side)
assert one_by_one == ["human: first", "ai: answer to first", "human: second", "ai: answer to second"]
assert side_by_side == ["human: second", "ai: answer to second", "ai: answer to first"], "the behaviour has changed"
PROGRAM
