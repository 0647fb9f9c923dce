#!/usr/bin/env bash
# A chat history of LlamaIndex cannot be read any more when a file is gone that one of its messages names.
#
# Seen with llama-index-core 0.14.25.
#
# A message may have a picture by its path (`ImageBlock(path=...)`). What is stored is the path, and the type of the field demands a file
# that is there: when the messages are read again, and the picture was a temporary one or another machine's, the model of that message is
# invalid. `SQLAlchemyChatStore.get_messages` raises for the whole key then, so that the messages before and behind it are out of reach too,
# and a `Memory` on it gives nothing.
#
# For whoever stores conversations: reading must not demand what writing could not keep. Give pictures as bytes, which are stored; and let
# one message that its framework refuses hide no other.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet --disable-pip-version-check llama-index-core==0.14.25
"$home/venv/bin/python" -W ignore - "$home" <<'PROGRAM'
import asyncio
import sys
from importlib.metadata import version
from pathlib import Path

from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock
from llama_index.core.storage.chat_store.sql import SQLAlchemyChatStore

print("llama-index-core", version("llama-index-core"))


async def main():
    picture = Path(sys.argv[1], "picture.png")
    picture.write_bytes(b"\x89PNG")
    store = SQLAlchemyChatStore("chats", f"sqlite+aiosqlite:///{sys.argv[1]}/chats.db")
    looked = ChatMessage(blocks=[TextBlock(text="Look"), ImageBlock(path=picture)])
    await store.add_messages("k", [ChatMessage(content="before"), looked, ChatMessage(content="after")])
    print("with the file:", len(await store.get_messages("k")), "messages")
    picture.unlink()
    try:
        found = len(await store.get_messages("k"))
    except ValueError as error:
        found = type(error).__name__
    print("without it:", found)
    await store._async_engine.dispose()
    assert found == "ValidationError", "the behaviour has changed"


asyncio.run(main())
PROGRAM
