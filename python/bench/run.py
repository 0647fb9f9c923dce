"""What adding a message costs, and what an event loop feels of it: ``python bench/run.py``.

Needs the package with its extra ``openai-agents``. Writes its tables into the README, between the markers. All ways take
turns, so that whatever else the machine does meets all of them alike; the figures are medians of single additions.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from agents import SQLiteSession

from aral_store import AsyncStore, Conversation, MessageStore, Store
from aral_store.openai_agents import AralSession

README = Path(__file__).parents[1] / "README.md"
SIZES = (10, 1_000, 10_000)
TEXT = "What shall we do with the drunken sailor, early in the morning? " * 3


class OriginalsWay:
    """How the original saves, rewritten here: all of the conversation, beside its file, then in its place. No sync."""

    def __init__(self, dir: Path, size: int) -> None:
        self.dir = dir
        (dir / "conversations").mkdir(parents=True)
        messages = [self.message() for _ in range(size)]
        self.conversation = {"id": "c1", "title": "T", "created_at": "", "metadata": {}, "messages": messages}
        self.index = dir / "message_store.json"
        self.index.write_text('{"conversation_ids": []}')
        self.add()

    def message(self) -> dict[str, Any]:
        now = datetime.now().isoformat()
        return {"id": str(uuid.uuid4()), "content": TEXT, "role": "user", "created_at": now, "metadata": {}}

    def add(self) -> None:
        self.conversation["messages"].append(self.message())
        file = self.dir / "conversations" / "c1.json"
        self.write(file, self.conversation)
        index = json.loads(self.index.read_text())
        if "c1" not in index["conversation_ids"]:
            index["conversation_ids"].append("c1")
            self.write(self.index, index)

    def write(self, file: Path, value: Any) -> None:
        beside = file.with_suffix(".tmp")
        with open(beside, "w") as out:
            json.dump(value, out, indent=2)
        shutil.move(beside, file)

    def close(self) -> None:
        pass


def conversation_of(size: int) -> Conversation:
    return Conversation(id="c1", messages=[{"content": TEXT} for _ in range(size)])  # type: ignore[list-item]


class OnMessageStore:
    def __init__(self, dir: Path, size: int, **how: Any) -> None:
        self.store = MessageStore(dir, **how)
        self.store._save_conversation(conversation_of(size))
        self.store.compact()

    def add(self) -> None:
        self.store.add_message("c1", TEXT)

    def close(self) -> None:
        self.store.close()


class OnSession:
    """Any session of the OpenAI Agents SDK."""

    item = {"role": "user", "content": TEXT}

    def __init__(self, session: Any, size: int, close: Callable[[], None]) -> None:
        self.session, self.close = session, close
        self.loop = asyncio.new_event_loop()
        self.loop.run_until_complete(session.add_items([self.item] * size))

    def add(self) -> None:
        self.loop.run_until_complete(self.session.add_items([self.item]))


def on_sqlite(dir: Path, size: int) -> OnSession:
    dir.mkdir()
    session = SQLiteSession("c1", dir / "sessions.db")
    return OnSession(session, size, session.close)


def on_aral_session(dir: Path, size: int) -> OnSession:
    store = Store(dir)
    return OnSession(AralSession("c1", store), size, store.close)


WAYS: list[tuple[str, str, Callable[[Path, int], Any]]] = [
    ("the original's way of saving, rewritten here", "no", OriginalsWay),
    ("`MessageStore` as it is by default", "yes", lambda dir, size: OnMessageStore(dir, size)),
    ("`MessageStore`, `mirror=\"auto\"`", "yes", lambda dir, size: OnMessageStore(dir, size, mirror="auto")),
    ("`MessageStore`, `mirror=\"close\"`", "yes", lambda dir, size: OnMessageStore(dir, size, mirror="close")),
    (
        "`MessageStore`, `mirror=\"close\"`, `sync=\"os\"`",
        "no",
        lambda dir, size: OnMessageStore(dir, size, mirror="close", sync="os"),
    ),
    ("the SDK's `SQLiteSession`", "yes", on_sqlite),
    ("`AralSession`", "yes", on_aral_session),
]


def additions(home: Path, rounds: int) -> list[str]:
    medians: dict[str, list[float]] = {name: [] for name, _, _ in WAYS}
    for size in SIZES:
        ways = [(name, make(home / f"{size}-{at}", size)) for at, (name, _, make) in enumerate(WAYS)]
        times: dict[str, list[float]] = {name: [] for name, _ in ways}
        for _ in range(rounds):
            for name, way in ways:
                begun = time.perf_counter()
                way.add()
                times[name].append(time.perf_counter() - begun)
        for name, way in ways:
            way.close()
            medians[name].append(statistics.median(times[name]) * 1e3)
    original = medians[WAYS[0][0]]
    header = "".join(f" {size:,} messages |" for size in SIZES)
    lines = [f"| adding one message to | synced |{header}", "|---|---|" + "---:|" * len(SIZES)]
    for name, synced, _ in WAYS:
        cells = []
        for ours, theirs in zip(medians[name], original):
            ratio = "" if ours is theirs else f", ×{theirs / ours:.1f}"
            cells.append(f" {ours:.2f} ms{ratio} |")
        lines.append(f"| {name} | {synced} |" + "".join(cells))
    return lines


async def lag_of(add: Callable[[str], Awaitable[object]], seconds: float) -> tuple[float, float, int]:
    """The 99th percentile and the longest of a 1 ms ticker's delays in ms, while eight tasks add; and how many they add."""
    lags: list[float] = []
    added = 0
    end = time.perf_counter() + seconds

    async def work(name: str) -> None:
        nonlocal added
        while time.perf_counter() < end:
            await add(name)
            added += 1

    tasks = [asyncio.create_task(work(f"c{n}")) for n in range(8)]
    while time.perf_counter() < end:
        begun = time.perf_counter()
        await asyncio.sleep(0.001)
        lags.append((time.perf_counter() - begun - 0.001) * 1e3)
    await asyncio.gather(*tasks)
    return statistics.quantiles(lags, n=100, method="inclusive")[98], max(lags), added


def lags(home: Path, seconds: float) -> list[str]:
    async def idle() -> tuple[float, float, int]:
        return await lag_of(lambda _: asyncio.sleep(0.01), seconds)

    async def awaited() -> tuple[float, float, int]:
        async with await AsyncStore.open(home / "async") as store:
            return await lag_of(lambda name: store.add_message(name, TEXT), seconds)

    async def direct() -> tuple[float, float, int]:
        with Store(home / "direct") as store:

            async def add(name: str) -> None:
                store.add_message(name, TEXT)
                await asyncio.sleep(0)

            return await lag_of(add, seconds)

    lines = ["| eight tasks that add durably | p99 lag | longest lag | additions a second |", "|---|---:|---:|---:|"]
    for name, way in (
        ("by `AsyncStore`", awaited),
        ("by calling `Store` in the loop", direct),
        ("not at all: they sleep", idle),
    ):
        p99, longest, added = asyncio.run(way())
        rate = f"{added / seconds:,.0f}" if way is not idle else ""
        lines.append(f"| {name} | {p99:.1f} ms | {longest:.1f} ms | {rate} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--dir", type=Path, help="where the stores are made; by default where temporary files are")
    parser.add_argument("--print", action="store_true", help="leave the README as it is")
    arguments = parser.parse_args()
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(dir=arguments.dir) as home:
        tables = [additions(Path(home), arguments.rounds), lags(Path(home), arguments.seconds)]
    machine = (
        f"Python {platform.python_version()} on {platform.system()}, {os.cpu_count()} cores, load {before:.1f} at the "
        f"beginning; medians of {arguments.rounds} additions, in turns; × is how many times as fast as the original's way."
    )
    text = "\n\n".join(["\n".join(table) for table in tables] + [machine])
    if arguments.print:
        sys.stdout.write(text + "\n")
        return
    readme = README.read_text()
    head, _, rest = readme.partition("<!-- bench/run.py writes this -->\n")
    _, end, tail = rest.partition("<!-- to here -->")
    if not end:
        sys.exit("the README has no markers")
    README.write_text(f"{head}<!-- bench/run.py writes this -->\n{text}\n{end}{tail}")


if __name__ == "__main__":
    main()
