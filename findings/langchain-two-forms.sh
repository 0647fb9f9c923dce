#!/usr/bin/env bash
# LangChain has two forms for storing a message, and one of them drops fields without a word.
#
# Seen with langchain-core 1.8.3.
#
# A message takes fields of the program's own (`HumanMessage("Hi!", tenant="t1")`), and its model keeps them.
# `message_to_dict` and `messages_from_dict` give them back. `dumps` and `loads` of `langchain_core.load` do not, nor
# the declared field `example`: it is not in the text that `dumps` makes, and what `loads` makes of that is another message
# that raises nothing.
#
# For whoever stores conversations: keep messages in the first form. Where the second one is written by somebody else, a field
# of one's own belongs into `additional_kwargs`, which both keep; and a test of a round trip has to have such a field.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet --disable-pip-version-check langchain-core==1.8.3
"$home/venv/bin/python" -W ignore - <<'PROGRAM'
import json
import warnings
from importlib.metadata import version

from langchain_core.load import dumps, loads
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.messages import message_to_dict, messages_from_dict

warnings.simplefilter("ignore")
print("langchain-core", version("langchain-core"))
messages = [
    HumanMessage("Hi!", tenant="t1"),
    AIMessage("Hi!", tenant="t1"),
    SystemMessage("Be brief.", tenant="t1"),
    ToolMessage("rain", tool_call_id="c1", tenant="t1"),
    HumanMessage("Hi!", example=True),
    HumanMessage("Hi!", additional_kwargs={"tenant": "t1"}),
]
found = []
for message in messages:
    as_dict = messages_from_dict([json.loads(json.dumps(message_to_dict(message)))])[0]
    as_text = loads(dumps(message))
    before, after = message.model_dump(), as_text.model_dump()
    lost = sorted(name for name in before if before[name] != after.get(name))
    assert not any(f'"{name}"' in dumps(message) for name in lost), "the behaviour has changed"
    found.append((as_dict == message, lost))
    print(f"{type(message).__name__}: message_to_dict keeps it: {as_dict == message}; dumps and loads lose: {lost}")
own = (True, ["tenant"])
assert found == [own, own, own, own, (True, ["example"]), (True, [])], "the behaviour has changed"
PROGRAM
