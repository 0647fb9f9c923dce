#!/usr/bin/env python3
"""How much memory the command line takes for stores of several sizes.

    cargo build --release
    python3 benches/memory.py [MIB]

Appends so many MiB of messages (1,024 if nothing is said) and a quarter of that, each through a pipe into a new store; compacts,
verifies, exports and imports both; and prints what each process had in memory at most: its own, and with it what it had mapped of
files, which the system takes back when it needs room. Where memory is flat, both sizes take the same but for the index, whose bytes
`stats` says. CARGO_TARGET_DIR is heeded. Room for five times MIB is taken where temporary files are.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

CONVERSATIONS = 2_000


def lines(size: int) -> Iterator[bytes]:
    """Mutations that add messages of half a KiB on average, now and then a long one, to conversations in turn."""
    chance = random.Random(1)
    words = [f"word{number}" for number in range(2_000)]
    texts = [" ".join(chance.choices(words, k=int(chance.lognormvariate(3.6, 1.0)) + 4)) for _ in range(2_000)]
    number = 0
    while size > 0:
        content = texts[chance.randrange(len(texts))]
        role = ("user", "assistant")[number % 2]
        line = {"type": "add_message", "conversation_id": f"c{number % CONVERSATIONS}", "content": content, "role": role}
        yield json.dumps(line).encode() + b"\n"
        number += 1
        size -= len(content)


def watched(process: subprocess.Popen[bytes]) -> tuple[int, int]:
    """What a process has in memory at most until its end, in KiB: its own, and all of it."""
    own = all_of_it = 0
    while process.poll() is None:
        try:
            status = dict(line.split(":", 1) for line in Path(f"/proc/{process.pid}/status").read_text().splitlines())
            sizes = {name: int(status[name].split()[0]) for name in ("RssAnon", "VmHWM")}
        except (FileNotFoundError, ProcessLookupError, KeyError):
            break
        own, all_of_it = max(own, sizes["RssAnon"]), max(all_of_it, sizes["VmHWM"])
        time.sleep(0.005)
    assert process.wait() == 0, process.args
    return own, all_of_it


def measured(program: str, store: Path, *arguments: str, fed: Iterator[bytes] | None = None) -> tuple[int, int]:
    process = subprocess.Popen(
        [program, "-d", str(store), *arguments],
        stdin=subprocess.DEVNULL if fed is None else subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    feeder = None
    if fed is not None and process.stdin is not None:
        feeder = os.fork()
        if feeder == 0:
            for line in fed:
                process.stdin.write(line)
            process.stdin.close()
            os._exit(0)
        process.stdin.close()
    found = watched(process)
    if feeder is not None:
        os.waitpid(feeder, 0)
    return found


def main() -> None:
    most = int(sys.argv[1]) if len(sys.argv) > 1 else 1_024
    program = str(Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "release" / "aral-store")
    sizes = [most // 4, most]
    found: dict[str, list[tuple[int, int]]] = {}
    facts: list[dict[str, int]] = []
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            home = Path(folder) / str(size)
            store = home / "store"
            home.mkdir()
            steps: list[tuple[str, Path, tuple[str, ...]]] = [
                ("`append`", store, ("append", "-")),
                ("`compact`", store, ("compact",)),
                ("`verify`", store, ("verify",)),
                ("`export --to jsonl`", store, ("export", "--to", "jsonl", "-o", str(home / "lines.jsonl"))),
                ("`export --to aral`", store, ("export", "--to", "aral", "-o", str(home / "files"))),
                ("`import` of the lines", home / "from-lines", ("import", str(home / "lines.jsonl"))),
                ("`import` of the files", home / "from-files", ("import", str(home / "files"))),
            ]
            for name, at, arguments in steps:
                fed = lines(size << 20) if name == "`append`" else None
                found.setdefault(name, []).append(measured(program, at, *arguments, fed=fed))
            stats = subprocess.run([program, "-d", str(store), "stats", "--json"], check=True, capture_output=True)
            facts.append(json.loads(stats.stdout))
    index = [fact["index_bytes"] / (1 << 20) for fact in facts]
    print(f"| MiB at most | {sizes[0]:,} MiB of text | with files mapped | {sizes[1]:,} MiB of text | with files mapped |")
    print("|---|---:|---:|---:|---:|")
    for name, pair in found.items():
        cells = [f"{number / 1024:.1f}" for both in pair for number in both]
        print(f"| {name} | {' | '.join(cells)} |")
    print(f"| the index, of {facts[0]['messages']:,} and {facts[1]['messages']:,} messages | {index[0]:.1f} | | {index[1]:.1f} | |")


if __name__ == "__main__":
    main()
