#!/usr/bin/env bash
# A limit of the OpenAI Agents SDK's session counts items, cuts between a tool's call and its result, and what the model
# gets then is not what the session gave.
#
# Seen with openai-agents 0.24.0, in its own SQLiteSession; the model is a stand-in, nothing goes over the network.
#
# `get_items(limit=2)` of a question, a call, its result and an answer begins with the result, which providers refuse without
# its call. The Runner takes it away before it asks the model, and says nothing: with a limit of 2 the model gets one item
# of the history. So the same limit gives different windows to the Runner and to whoever reads the session for a provider.
#
# For whoever stores conversations: a limit is no window that can be sent. Read whole turns, and count what is left of them;
# a test that asks a session what the model has seen tests something else.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet --disable-pip-version-check openai-agents==0.24.0
"$home/venv/bin/python" -W ignore - <<'PROGRAM'
import asyncio
from importlib.metadata import version

from agents import Agent, Model, ModelResponse, RunConfig, Runner, SessionSettings, SQLiteSession, Usage
from agents import set_tracing_disabled
from openai.types.responses import ResponseOutputMessage, ResponseOutputText

set_tracing_disabled(True)
HISTORY = [
    {"role": "user", "content": "What is the weather?"},
    {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c1", "output": "rain"},
    {"role": "assistant", "content": "It rains."},
]


class StandIn(Model):
    async def get_response(self, system_instructions, input, *args, **kwargs):
        self.seen = [kind(item) for item in input]
        text = ResponseOutputText(type="output_text", text="Yes.", annotations=[])
        answer = ResponseOutputMessage(id="m", type="message", role="assistant", status="completed", content=[text])
        return ModelResponse(output=[answer], usage=Usage(), response_id=None)

    def stream_response(self, *args, **kwargs):
        raise NotImplementedError


def kind(item):
    return item.get("type") or item["role"]


async def windows(limit):
    session, model = SQLiteSession(f"s{limit}"), StandIn()
    await session.add_items(HISTORY)
    given = [kind(item) for item in await session.get_items(limit=limit)]
    settings = RunConfig(session_settings=SessionSettings(limit=limit))
    await Runner.run(Agent(name="a", model=model), "Still?", session=session, run_config=settings)
    print(f"limit={limit}: the session gives {given}, the model gets {model.seen}")
    return given, model.seen


async def main():
    print("openai-agents", version("openai-agents"))
    found = [await windows(limit) for limit in (2, 3)]
    call, result = "function_call", "function_call_output"
    assert found == [
        ([result, "assistant"], ["assistant", "user"]),
        ([call, result, "assistant"], [call, result, "assistant", "user"]),
    ], "the behaviour has changed"


asyncio.run(main())
PROGRAM
