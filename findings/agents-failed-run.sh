#!/usr/bin/env bash
# What a failed run of the OpenAI Agents SDK leaves in its session: the question, each time anew, and of tools that
# were called side by side those alone that went well.
#
# Seen with openai-agents 0.24.0, in its own SQLiteSession; the model is a stand-in, nothing goes over the network.
#
# The question is stored before the model is asked. If the model fails, it stays, and whoever runs the same again has it
# twice, for the model too. If one of two parallel tools raises (failure_error_function=None), the call and the result of
# the other one are stored, and the call of the one that raised is nowhere, although the model made it and the tool ran;
# what it did until it raised is in no history.
#
# For whoever stores conversations: a question without an answer is an ordinary state, and two equal ones behind each other
# are probably one. A retry wants a key for the question, or has to take it away first. What tools did belongs
# into a record of its own, written by the tool; the session's items are no log of it.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet --disable-pip-version-check openai-agents==0.24.0
"$home/venv/bin/python" -W ignore - <<'PROGRAM'
import asyncio
from importlib.metadata import version

from agents import Agent, Model, ModelResponse, Runner, SQLiteSession, Usage, function_tool, set_tracing_disabled
from openai.types.responses import ResponseFunctionToolCall

set_tracing_disabled(True)
ran = []


@function_tool
async def weather() -> str:
    ran.append("weather")
    return "rain"


@function_tool(failure_error_function=None)
async def book() -> str:
    ran.append("book")
    # By then the other one has ended.
    await asyncio.sleep(0.2)
    raise RuntimeError("no seats")


def call(name):
    return ResponseFunctionToolCall(type="function_call", name=name, call_id="call-" + name, arguments="{}")


class StandIn(Model):
    def __init__(self, *outcomes):
        self.outcomes, self.seen = list(outcomes), []

    async def get_response(self, system_instructions, input, *args, **kwargs):
        self.seen.append([kind(item) for item in input])
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return ModelResponse(output=outcome, usage=Usage(), response_id=None)

    def stream_response(self, *args, **kwargs):
        raise NotImplementedError


def kind(item):
    return item.get("type", item.get("role")) + " " + (item.get("content") or item.get("name") or item.get("output"))


async def failed(session, model):
    try:
        await Runner.run(Agent(name="a", model=model, tools=[weather, book]), "Go on.", session=session)
    except Exception as error:
        print("raised:", type(error).__name__)
    else:
        raise AssertionError("the run went well")
    return [kind(item) for item in await session.get_items()]


async def main():
    print("openai-agents", version("openai-agents"))
    session, model = SQLiteSession("s1"), StandIn(RuntimeError("unavailable"), RuntimeError("unavailable"))
    await failed(session, model)
    again = await failed(session, model)
    print("stored after a failed run and a retry:", again, "and given to the model:", model.seen)
    tools = await failed(SQLiteSession("s2"), StandIn([call("weather"), call("book")]))
    print("stored after two tools of which one raised:", tools, "and these ran:", sorted(ran))
    changed = "the behaviour has changed"
    assert again == ["user Go on."] * 2 and model.seen == [["user Go on."], ["user Go on."] * 2], changed
    assert tools == ["user Go on.", "function_call weather", "function_call_output rain"], changed
    assert sorted(ran) == ["book", "weather"], changed


asyncio.run(main())
PROGRAM
