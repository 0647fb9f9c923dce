#!/usr/bin/env python3
"""Counts what the store's operations take, in instructions, and holds it against what is recorded.

    python3 benches/instructions.py [--bless] [--binary PATH]

Counts do not depend on how busy a machine is, so a change of three in a hundred shows. Each operation is run
N and 2 N times under valgrind: the difference is what N of them take, without what comes before and after,
and without the kernel. Exits with 1 if an operation takes more than is recorded, or so much less that the
record should be renewed; `--bless` renews it. Without valgrind it says so and exits with 0.
"""

import argparse
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
RECORD = ROOT / "benches" / "instructions.txt"
# What passes unremarked, in parts of the recorded count. Two runs differ by less than one in a hundred.
TOLERANCE = 0.03
# The same where another compiler or C library is at work than the one that the counts were recorded with.
TOLERANCE_ELSEWHERE = 0.15
TOOLS = "# Recorded with "

# What is counted, and how often it is done. Those that work on what is there have it filled in before.
OPERATIONS = {
    "append": 2000,
    "append durably": 2000,
    "append in batches": 4000,
    "append durably, encrypted": 2000,
    "append in batches, encrypted": 4000,
    "read a message": 2000,
    "read a message by its id": 2000,
    "read the last 10": 1000,
    "read a conversation of 100": 100,
    "look at a conversation of 100": 100,
    "list the 50 most active": 200,
    "read a message by its id from JSON": 2000,
    "read the last 10 from JSON": 1000,
    "read a conversation of 100 from JSON": 100,
    "look at a conversation of 100 from JSON": 100,
    "list the 50 most active from JSON": 200,
    "replay": 4000,
    "compact": 2000,
}
FILLED = {"replay", "compact"}


def run(binary: str, directory: str, operation: str, count: int) -> None:
    subprocess.run([binary, directory, operation, str(count)], check=True)


def instructions(binary: str, operation: str, count: int) -> int:
    """The instructions of one whole run."""
    # In memory, where there is such a place: what is counted is not the device's work.
    shared = "/dev/shm" if pathlib.Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=shared) as directory:
        if operation in FILLED:
            run(binary, directory, "fill", count)
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", binary, directory, operation, str(count)],
            check=False,
            capture_output=True,
            text=True,
        )
    collected = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or collected is None:
        sys.exit(f"counting {operation!r} failed:\n{done.stderr}")
    return int(collected.group(1))


def per_operation(binary: str, name: str, count: int) -> int:
    """What one more of them takes."""
    once, twice = (instructions(binary, name, times * count) for times in (1, 2))
    return (twice - once) // count


def tools() -> str:
    """The compiler, and the C library, whose `malloc` and `memcpy` are counted too."""
    rustc = subprocess.run(["rustc", "--version"], check=True, capture_output=True, text=True).stdout.strip()
    return f"{rustc}, {' '.join(platform.libc_ver())}, {platform.machine()}"


def recorded_with() -> str:
    lines = RECORD.read_text(encoding="utf-8").splitlines() if RECORD.exists() else []
    return next((line.removeprefix(TOOLS) for line in lines if line.startswith(TOOLS)), "")


def recorded() -> dict[str, int]:
    lines = RECORD.read_text(encoding="utf-8").splitlines() if RECORD.exists() else []
    rows = [line.rsplit(maxsplit=1) for line in lines if line and not line.startswith("#")]
    return {name: int(count) for name, count in rows}


def verdict(now: int, before: int | None, tolerance: float) -> str:
    """Why this is not as recorded; empty if it is."""
    if before is None:
        return "not recorded yet: run with --bless"
    if now > before * (1 + tolerance):
        return "SLOWER than recorded"
    if now < before * (1 - tolerance):
        return "faster than recorded: run with --bless, so that it stays so"
    return ""


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--bless", action="store_true")
    arguments.add_argument("--binary", default=str(ROOT / "target/release/examples/counted"))
    given = arguments.parse_args()
    if shutil.which("valgrind") is None:
        print("SKIPPED: valgrind is not installed, so no instructions are counted")
        return 0
    here, there = tools(), recorded_with()
    tolerance = TOLERANCE if here == there else TOLERANCE_ELSEWHERE
    if there and here != there:
        print(f"recorded with {there}\nhere it is    {here}\nso only {tolerance:.0%} and more counts as a change")
    before, now, bad = recorded(), {}, 0
    for name, count in OPERATIONS.items():
        now[name] = per_operation(given.binary, name, count)
        why = "" if given.bless else verdict(now[name], before.get(name), tolerance)
        if why or given.bless:
            # Tables hash with a seed of the process's own, which for a few ids is luck: so look again before judging.
            again = (per_operation(given.binary, name, count) for _ in range(4))
            now[name] = statistics.median_low([now[name], *again])
            why = "" if given.bless else verdict(now[name], before.get(name), tolerance)
        change = f"{now[name] / before[name] - 1:+8.1%}" if name in before else " " * 8
        print(f"{name:<40} {now[name]:>9} {change}  {why}", flush=True)
        bad += bool(why)
    if given.bless:
        head = "# Instructions per operation, written by `python3 benches/instructions.py --bless`.\n"
        head += f"{TOOLS}{here}\n"
        rows = (f"{name:<40} {count:>9}\n" for name, count in now.items())
        RECORD.write_text(head + "".join(rows), encoding="utf-8")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
