#!/usr/bin/env bash
# The history providers of Microsoft's Agent Framework leave out a turn that says the same as the one before, and values that
# are no JSON, without a word.
#
# Seen with agent-framework-core 1.23.0.
#
# Some agents hand over the whole transcript with each run, so the providers skip what the history ends with already. A message is
# known by its id and, without one, by its role and contents. Messages of users have none; whether answers have is up to the client.
# With a client that gives none, "ok" and "Done." three times over is one turn in the history, and the model is told that it was asked
# once. One question alone is kept each time.
#
# `to_dict` of a message drops what is no JSON: a set from a dict, and an object from the middle of a list, so that those behind it move up.
#
# For whoever stores conversations: give answers ids, and compare what comes back with what was given, place by place. That something
# could be made JSON says nothing.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet --disable-pip-version-check agent-framework-core==1.23.0
"$home/venv/bin/python" -W ignore - "$home" <<'PROGRAM'
import asyncio
import sys
from importlib.metadata import version

from agent_framework import FileHistoryProvider, InMemoryHistoryProvider, Message

print("agent-framework-core", version("agent-framework-core"))


async def kept(provider, answer_ids):
    state = {}
    for turn in range(3):
        answer = Message("assistant", ["Done."], message_id=f"m{turn}" if answer_ids else None)
        await provider.save_messages(f"s{answer_ids}", [Message("user", ["ok"]), answer], state=state)
    return len(await provider.get_messages(f"s{answer_ids}", state=state))


async def main():
    for provider in (FileHistoryProvider(sys.argv[1] + "/h"), InMemoryHistoryProvider()):
        found = await kept(provider, False), await kept(provider, True)
        print(f"{type(provider).__name__}: 3 turns are {found[0]} messages without ids, {found[1]} with ids of the answers")
        assert found == (2, 6), "the behaviour has changed"
    message = Message("user", ["x"], additional_properties={"tags": {"a"}, "list": [1, object(), 2]})
    stored = message.to_dict()["additional_properties"]
    print("{'tags': {'a'}, 'list': [1, object(), 2]} is stored as", stored)
    assert stored == {"list": [1, 2]}, "the behaviour has changed"


asyncio.run(main())
PROGRAM
