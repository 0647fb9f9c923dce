"""A program that a checker of types has nothing to say against: each method of the chat store for LlamaIndex, called once."""

# LlamaIndex's own methods have types that are not known whole.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import asyncio

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.memory import Memory
from llama_index.core.storage.chat_store.base_db import AsyncDBChatStore, MessageStatus

from aral_store import AsyncStore, Store
from aral_store.llama_index import AralChatStore


async def main() -> None:
    with Store() as store:
        chats: AsyncDBChatStore = AralChatStore(store)
        memory = Memory.from_defaults(session_id="user-7", chat_store=chats)
        await memory.aput(ChatMessage(content="What shall we do?"))
        await chats.add_messages("user-7", [ChatMessage(content="x")], MessageStatus.ARCHIVED)
        found: list[ChatMessage] = await chats.get_messages("user-7", status=None, limit=2, offset=0)
        count: int = await chats.count_messages("user-7")
        await chats.archive_oldest_messages("user-7", 1)
        await chats.delete_oldest_messages("user-7", 1)
        deleted: ChatMessage | None = await chats.delete_message("user-7", 0)
        await chats.set_messages("user-7", found)
        await chats.delete_messages("user-7")
        print(count, deleted, await chats.get_keys())
    async with AralChatStore(await AsyncStore.open()) as own:
        await own.close()


if __name__ == "__main__":
    asyncio.run(main())
