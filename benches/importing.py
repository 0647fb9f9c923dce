#!/usr/bin/env python3
"""How long an import of sessions takes beside parsing the same files into values, and how much memory.

    cargo build --release && cargo build --release --example parse_lines
    python3 benches/importing.py [MIB]

Makes a folder of sessions of Claude Code, runs both programs of target/release on it in turn, and prints a line for each
and the quotient of their medians. CARGO_TARGET_DIR is heeded.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = 3
FILE = 4 << 20


def make(folder: Path, size: int) -> None:
    """Sessions with prompts, replies, calls and results, as the tool writes them."""
    chance = random.Random(1)
    words = [f"word{number}" for number in range(2_000)]
    text = lambda count: " ".join(chance.choices(words, k=count)) + ' "quoted"\n'  # noqa: E731
    number = 0
    while size > 0:
        number += 1
        session = f"00000000-0000-4000-8000-{number:012}"
        path = folder / f"-home-project-{number % 7}" / f"{session}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines, left, at = [], min(FILE, size), 0
        while left > 0:
            at += 1
            common = {
                "parentUuid": f"u{at - 1}", "isSidechain": False, "cwd": "/home/project", "sessionId": session, "version": "2.1.0",
                "gitBranch": "main", "uuid": f"u{at}", "timestamp": f"2026-01-{1 + at // 86400:02}T{at // 3600 % 24:02}:{at // 60 % 60:02}:{at % 60:02}.000Z",
            }
            usage = {"input_tokens": at, "output_tokens": 7, "cache_read_input_tokens": 1, "cache_creation_input_tokens": 2}
            reply = {"id": f"m{at}", "model": "model", "role": "assistant", "usage": usage}
            kind = at % 4
            if kind == 0:
                line = {"type": "user", "message": {"role": "user", "content": text(40)}}
            elif kind == 1:
                line = {"type": "assistant", "message": reply | {"content": [{"type": "text", "text": text(120)}]}}
            elif kind == 2:
                call = {"type": "tool_use", "id": f"c{at}", "name": "Read", "input": {"path": f"/home/project/{at}", "limit": 100}}
                line = {"type": "assistant", "message": reply | {"content": [call]}}
            else:
                result = {"type": "tool_result", "tool_use_id": f"c{at - 1}", "content": text(300), "is_error": False}
                line = {"type": "user", "message": {"role": "user", "content": [result]}, "toolUseResult": {"stdout": text(300)}}
            lines.append(json.dumps(common | line, separators=(",", ":")) + "\n")
            left -= len(lines[-1])
        path.write_text("".join(lines))
        size -= sum(map(len, lines))


def run(command: list[str]) -> tuple[float, int]:
    """Seconds, and the most memory in KiB."""
    begin = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"{command} ended with {status}")
    return time.monotonic() - begin, used.ru_maxrss


def main() -> None:
    size = int(sys.argv[1] if len(sys.argv) > 1 else 256) << 20
    programs = Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "release"
    with tempfile.TemporaryDirectory() as place:
        folder, store = Path(place) / "projects", Path(place) / "store"
        make(folder, size)
        times: dict[str, list[float]] = {"parse": [], "import": []}
        memory = dict.fromkeys(times, 0)
        for _ in range(RUNS):
            for name, command in {
                "parse": [str(programs / "examples" / "parse_lines"), str(folder)],
                "import": [str(programs / "aral-store"), "-d", str(store), "import", str(folder)],
            }.items():
                shutil.rmtree(store, ignore_errors=True)
                seconds, peak = run(command)
                times[name].append(seconds)
                memory[name] = max(memory[name], peak)
        for name, found in times.items():
            found.sort()
            print(f"{name}: {found[len(found) // 2]:.2f} s of {[f'{one:.2f}' for one in found]}, {memory[name] >> 10} MiB at most")
        print(f"import / parse: {times['import'][RUNS // 2] / times['parse'][RUNS // 2]:.2f} with {size >> 20} MiB")


if __name__ == "__main__":
    main()
