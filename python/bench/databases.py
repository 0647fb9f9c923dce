"""What an agent's history costs in databases, beside what others keep it in: ``python bench/databases.py``.

Needs the package with its extras ``openai-agents`` and ``langchain``, ``sqlalchemy[asyncio]``, ``aiosqlite``, ``asyncpg``,
``langgraph-checkpoint-sqlite``, ``langgraph-checkpoint-postgres`` and ``psycopg[binary]``, and the programs of a PostgreSQL server,
one of which is started for the time that it takes. All of them sync each addition: SQLite with the ``synchronous = FULL`` that
each of them has by default, PostgreSQL as it is installed. All take turns, so that whatever else the machine does meets all of
them alike, and the figures are the least of many, since it only adds to them.
"""

from __future__ import annotations

import argparse
import asyncio
import inspect
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agents import SQLiteSession
from agents.extensions.memory import SQLAlchemySession
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.sqlite import SqliteSaver
from sqlalchemy.ext.asyncio import create_async_engine

from aral_store import AsyncStore, Store
from aral_store.langchain import AralChatMessageHistory
from aral_store.openai_agents import AralSession

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import server  # noqa: E402

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- bench/databases.py writes this -->\n", "<!-- to here, bench/databases.py -->"
TEXT = "What shall we do with the drunken sailor, early in the morning? " * 3


def turn(n: int) -> list[dict[str, Any]]:
    """What an agent's turn adds: a question, a call of a tool, its result, and an answer."""
    answer = {"type": "output_text", "text": TEXT, "annotations": [], "logprobs": []}
    return [
        {"role": "user", "content": TEXT},
        {
            "type": "function_call",
            "id": f"fc_{n:032x}",
            "call_id": f"call_{n:024x}",
            "name": "search",
            "arguments": '{"query": "' + TEXT + '"}',
            "status": "completed",
        },
        {"type": "function_call_output", "call_id": f"call_{n:024x}", "output": TEXT},
        {
            "id": f"msg_{n:032x}",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [answer],
        },
    ]


def items(count: int, is_plain: bool) -> list[Any]:
    if is_plain:
        return [{"role": "user", "content": TEXT} for _ in range(count)]
    return [item for n in range(count // 4 + 1) for item in turn(n)][:count]


class OnSession:
    """A session of the OpenAI Agents SDK."""

    def __init__(self, session: Any, close: Callable[[], Any], is_plain: bool) -> None:
        self.session, self.close, self.is_plain = session, close, is_plain

    async def begin(self, size: int) -> None:
        await self.session.add_items(items(size, self.is_plain))

    async def add(self) -> None:
        await self.session.add_items(items(4, self.is_plain)[3:])

    async def all(self) -> list[Any]:
        return await self.session.get_items()

    async def last(self) -> list[Any]:
        return await self.session.get_items(limit=10)


def messages(count: int) -> list[BaseMessage]:
    kinds = (HumanMessage, AIMessage)
    return [kinds[n % 2](TEXT, id=f"run-{n:032x}") for n in range(count)]


class OnHistory:
    """A chat history of LangChain, in a store."""

    def __init__(self, store: Store) -> None:
        self.store, self.history = store, AralChatMessageHistory("c1", store)

    def begin(self, size: int) -> None:
        self.history.add_messages(messages(size))

    def add(self) -> None:
        self.history.add_messages(messages(1))

    def all(self) -> list[Any]:
        return self.history.messages

    def last(self) -> list[Any]:
        return self.history.last(10)

    def close(self) -> None:
        self.store.close()


class OnSaver:
    """A checkpointer of LangGraph, which is given the whole state of a graph after each step."""

    config = {"configurable": {"thread_id": "c1", "checkpoint_ns": ""}}

    def __init__(self, saver: Any, context: Any) -> None:
        self.saver, self.context = saver, context
        saver.setup()
        self.messages: list[BaseMessage] = []
        self.step = 0

    def put(self, more: list[BaseMessage]) -> None:
        self.messages += more
        self.step += 1
        version = f"{self.step:032}.0"
        checkpoint = empty_checkpoint()
        checkpoint["channel_values"] = {"messages": self.messages}
        checkpoint["channel_versions"] = {"messages": version}
        metadata: Any = {"source": "loop", "step": self.step, "parents": {}}
        self.config = self.saver.put(self.config, checkpoint, metadata, {"messages": version})

    def begin(self, size: int) -> None:
        self.put(messages(size))

    def add(self) -> None:
        self.put(messages(1))

    def all(self) -> list[Any]:
        found = self.saver.get_tuple({"configurable": {"thread_id": "c1"}})
        return found.checkpoint["channel_values"]["messages"]

    def last(self) -> list[Any]:
        return self.all()[-10:]

    def close(self) -> None:
        self.context.__exit__(None, None, None)


async def sessions(home: Path, base: server.Server, is_plain: bool) -> list[tuple[str, str, Any]]:
    """The sessions, each with where it keeps its items."""
    found = []
    sqlite = SQLiteSession("c1", home / "sessions.db")
    found.append(("SQLite", "the SDK's `SQLiteSession`", OnSession(sqlite, sqlite.close, is_plain)))
    url = base.url("public").partition("?")[0].replace("postgres://", "postgresql+asyncpg://")
    for where, url in (("SQLite", f"sqlite+aiosqlite:///{home}/alchemy.db"), ("PostgreSQL", url)):
        engine = create_async_engine(url)
        session = SQLAlchemySession("c1", engine=engine, create_tables=True)
        found.append((where, "the SDK's `SQLAlchemySession`", OnSession(session, engine.dispose, is_plain)))
    places = [("a directory", home / "session"), ("SQLite", f"sqlite:{home}/session.db"), ("PostgreSQL", base.url("session"))]
    for where, place in places:
        store = await AsyncStore.open(place)
        found.append((where, "`AralSession`", OnSession(AralSession("c1", store), store.close, is_plain)))
    return found


def histories(home: Path, base: server.Server) -> list[tuple[str, str, Any]]:
    """The histories of LangChain's messages, each with where it keeps them."""
    url = base.url("public").partition("?")[0].replace("postgres://", "postgresql://")
    found: list[tuple[str, str, Any]] = []
    for where, context in (
        ("SQLite", SqliteSaver.from_conn_string(str(home / "saver.db"))),
        ("PostgreSQL", PostgresSaver.from_conn_string(url)),
    ):
        saver = context.__enter__()
        found.append((where, f"LangGraph's `{type(saver).__name__}`", OnSaver(saver, context)))
    places = [("a directory", home / "history"), ("SQLite", f"sqlite:{home}/history.db"), ("PostgreSQL", base.url("history"))]
    for where, place in places:
        found.append((where, "`AralChatMessageHistory`", OnHistory(Store(place))))
    return found


OPERATIONS = ("add", "all", "last")


async def measured(ways: list[tuple[str, str, Any]], size: int, rounds: int) -> list[list[float]]:
    """What each operation takes in ms, at least."""

    async def done(value: Any) -> Any:
        return await value if inspect.isawaitable(value) else value

    for _, name, way in ways:
        await done(way.begin(size))
        assert len(await done(way.all())) == size, name
    times: list[dict[str, list[float]]] = [{of: [] for of in OPERATIONS} for _ in ways]
    for _ in range(rounds):
        for of in OPERATIONS:
            for (_, _, way), took in zip(ways, times):
                begun = time.perf_counter()
                found = await done(getattr(way, of)())
                took[of].append((time.perf_counter() - begun) * 1e3)
                # Whoever goes next does not pay for the end of what this one has given.
                del found
    for _, _, way in ways:
        await done(way.close())
    return [[min(took[of]) for of in OPERATIONS] for took in times]


def table(ways: list[tuple[str, str, Any]], least: list[list[float]], size: int) -> list[str]:
    ours = {where: row for (where, name, _), row in zip(ways, least) if name.startswith("`Aral")}
    lines = [
        f"| {size:,} items | in | adding one | reading all | reading the last 10 |",
        "|---|---|---:|---:|---:|",
    ]
    for (where, name, _), row in zip(ways, least):
        cells = [
            f" {took:.2f} ms" + ("" if row is ours[where] else f", ×{took / mine:.1f}") + " |"
            for took, mine in zip(row, ours[where])
        ]
        lines.append(f"| {name} | {where} |" + "".join(cells))
    return lines


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--size", type=int, default=10_000)
    parser.add_argument("--plain", action="store_true", help="items with a role and a string instead of an agent's turns")
    parser.add_argument("--dir", type=Path, help="where the stores are made; by default where temporary files are")
    parser.add_argument("--print", action="store_true", help="leave the README as it is")
    parser.add_argument("--only", choices=["sessions", "histories"])
    arguments = parser.parse_args()
    bin = server.programs()
    if bin is None:
        sys.exit("no PostgreSQL here")
    before = os.getloadavg()[0]
    base = server.Server(bin)
    tables = []
    try:
        with tempfile.TemporaryDirectory(dir=arguments.dir) as home:
            for what in ("sessions", "histories"):
                if arguments.only in (None, what):
                    is_session = what == "sessions"
                    ways = await sessions(Path(home), base, arguments.plain) if is_session else histories(Path(home), base)
                    least = await measured(ways, arguments.size, arguments.rounds)
                    tables.append("\n".join(table(ways, least, arguments.size)))
    finally:
        base.stop()
    machine = (
        f"Python {platform.python_version()} on {platform.system()}, {os.cpu_count()} cores, load {before:.1f} at the beginning; "
        f"the least of {arguments.rounds}, in turns, each addition synced; × is how many times as long as here in the same place."
    )
    text = "\n\n".join([*tables, machine])
    if arguments.print:
        sys.stdout.write(text + "\n")
        return
    head, begin, rest = README.read_text().partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        sys.exit("the README has no markers")
    README.write_text(f"{head}{BEGIN}{text}\n{END}{tail}")


if __name__ == "__main__":
    asyncio.run(main())
