"""What an agent's session costs beside the SDK's ``SQLiteSession``, as ratios: ``python bench/sessions.py``.

Needs the package with its extra ``openai-agents``. Both sides of a ratio are timed in turns, one call each, and a ratio is
the median of those of all turns, so that what else the machine does meets both alike. Writes its table into the README,
between the markers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agents import SQLiteSession

from aral_store import Conversation, MessageStore, Store
from aral_store.openai_agents import AralSession

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- bench/sessions.py writes this -->\n", "<!-- to here, bench/sessions.py -->"
TEXT = "What shall we do with the drunken sailor, early in the morning? " * 3
LOOP = asyncio.new_event_loop()

Call = Callable[[], object]


def turn(n: int) -> list[dict[str, Any]]:
    """What an agent's turn adds: a question, a call of a tool, its result, and an answer."""
    answer = {"type": "output_text", "text": TEXT, "annotations": [], "logprobs": []}
    call = f"call_{n:024x}"
    return [
        {"role": "user", "content": TEXT},
        {"type": "function_call", "id": f"fc_{n:032x}", "call_id": call, "name": "search", "arguments": json.dumps({"query": TEXT}), "status": "completed"},
        {"type": "function_call_output", "call_id": call, "output": TEXT},
        {"id": f"msg_{n:032x}", "type": "message", "role": "assistant", "status": "completed", "content": [answer]},
    ]


def items(count: int) -> list[Any]:
    return [item for n in range(count // 4 + 1) for item in turn(n)][:count]


class Full(SQLiteSession):
    """The SDK's session, which syncs each addition. It opens a connection for each thread, so all of them are told."""

    @staticmethod
    def _configure_connection(conn: sqlite3.Connection) -> None:
        SQLiteSession._configure_connection(conn)
        conn.execute("PRAGMA synchronous = FULL")


class Normal(SQLiteSession):
    """The same, which syncs at checkpoints alone."""

    @staticmethod
    def _configure_connection(conn: sqlite3.Connection) -> None:
        SQLiteSession._configure_connection(conn)
        conn.execute("PRAGMA synchronous = NORMAL")


def filled(session: Any, size: int) -> Any:
    LOOP.run_until_complete(session.add_items(items(size)))
    return session


def of_session(session: Any, what: str) -> Call:
    one = items(1)
    calls: dict[str, Callable[[], Any]] = {
        "add": lambda: session.add_items(one),
        "all": lambda: session.get_items(),
        "last": lambda: session.get_items(limit=20),
    }
    return lambda: LOOP.run_until_complete(calls[what]())


def ratio(ours: Call, theirs: Call, rounds: int) -> tuple[float, float, float]:
    """The medians of both in ms, and that of their quotients."""
    times: list[tuple[float, float]] = []
    for n in range(rounds + 3):
        pair = [0.0, 0.0]
        for at in (0, 1) if n % 2 else (1, 0):
            begun = time.perf_counter()
            (ours, theirs)[at]()
            pair[at] = (time.perf_counter() - begun) * 1e3
        if n >= 3:
            times.append((pair[0], pair[1]))
    return (
        statistics.median(each for each, _ in times),
        statistics.median(each for _, each in times),
        statistics.median(each / other for each, other in times),
    )


PEAK = """
import asyncio, json, sys
{open}
def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
asyncio.run(session.get_items(limit=1))
before = peak()
assert len(asyncio.run(session.get_items())) >= 10_000
print(peak() - before)
"""


def peak(opening: str, *arguments: str) -> float:
    """By how many MiB a process grows, at most, that reads 10,000 items. The least of three."""
    program = PEAK.replace("{open}", opening)
    return min(int(subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True).stdout) for _ in range(3)) / 1024


def importing() -> float:
    """How long a process takes longer for importing the package, in ms: the median of 15."""
    def run(program: str) -> float:
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", program], check=True)
        return time.perf_counter() - begun

    return statistics.median(run("import aral_store") - run("pass") for _ in range(15)) * 1e3


def rows(home: Path, rounds: int) -> list[tuple[str, str, str, float, float]]:
    """What is measured, our figure and the other's, their ratio, and what it may be at most."""
    found: list[tuple[str, str, str, float, float]] = []

    def compare(name: str, ours: Call, theirs: Call, at_most: float, rounds: int = rounds) -> None:
        mine, other, quotient = ratio(ours, theirs, rounds)
        found.append((name, f"{mine:.3f} ms", f"{other:.3f} ms", quotient, at_most))

    for size in (1_000, 10_000):
        full, normal = (filled(kind("c1", home / f"{kind.__name__}-{size}.db"), size) for kind in (Full, Normal))
        stores = [Store(home / f"always-{size}"), Store(home / f"os-{size}", sync="os")]
        always, os_ = (filled(AralSession("c1", store), size) for store in stores)
        compare(f"adding one to {size:,}, every addition synced (`FULL`)", of_session(always, "add"), of_session(full, "add"), 0.7)
        compare(f"adding one to {size:,}, `sync='os'` (`NORMAL`)", of_session(os_, "add"), of_session(normal, "add"), 0.5)
        compare(f"reading all of {size:,}", of_session(always, "all"), of_session(full, "all"), 0.5, max(rounds // 4, 5))
        compare(f"reading the last 20 of {size:,}", of_session(always, "last"), of_session(full, "last"), 0.7)
        full.close()
        normal.close()
        for store in stores:
            store.close()
    mine = peak("from aral_store import Store\nfrom aral_store.openai_agents import AralSession\nsession = AralSession('c1', Store(sys.argv[1]))", str(home / "always-10000"))
    other = peak("from agents import SQLiteSession\nsession = SQLiteSession('c1', sys.argv[1])", str(home / "Full-10000.db"))
    found.append(("peak memory of reading all of 10,000", f"{mine:.1f} MiB", f"{other:.1f} MiB", mine / other, 1.0))
    for size in (10, 10_000):
        mirrored = MessageStore(home / f"auto-{size}", mirror="auto")
        plain = Store(home / f"plain-{size}")
        mutations = [{"type": "add_message", "conversation_id": "c1", "content": TEXT} for _ in range(size)]
        plain.create("c1")
        plain.batch(mutations)
        mirrored._save_conversation(Conversation(id="c1", messages=[{"content": TEXT} for _ in range(size)]))  # type: ignore[misc]
        name = f'`MessageStore.add_message`, `mirror="auto"`, at {size:,}, beside `Store.add_message`'
        compare(name, lambda: mirrored.add_message("c1", TEXT), lambda: plain.add_message("c1", TEXT), 1.3)
        mirrored.close()
        plain.close()
    found.append(("`import aral_store`", f"{importing():.1f} ms", "40 ms", importing() / 40, 1.0))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--dir", type=Path, help="where the stores are made; by default where temporary files are")
    parser.add_argument("--print", action="store_true", help="leave the README as it is")
    arguments = parser.parse_args()
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(dir=arguments.dir) as home:
        found = rows(Path(home), arguments.rounds)
    lines = ["| | here | beside | ratio | at most |", "|---|---:|---:|---:|---:|"]
    lines += [f"| {name} | {mine} | {other} | {quotient:.2f} | {at_most:.1f} |" for name, mine, other, quotient, at_most in found]
    machine = (
        f"Python {platform.python_version()} on {platform.system()}, {os.cpu_count()} cores, load {before:.1f} at the beginning; "
        f"medians of {arguments.rounds} calls, in turns, the ratio that of the quotients of each turn."
    )
    text = "\n".join([*lines, "", machine]) + "\n"
    if arguments.print:
        sys.stdout.write(text)
        return
    head, _, rest = README.read_text().partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not end:
        sys.exit("the README has no markers")
    README.write_text(head + BEGIN + text + END + tail)


if __name__ == "__main__":
    main()
