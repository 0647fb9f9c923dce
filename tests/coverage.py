"""Which lines of the parts that must never be wrong no test has run.

Builds the tests with the compiler's own instrumentation, runs them, and lists the lines of the codecs, the log,
its recovery and the snapshot that nothing came by. Each such line must be in `tests/uncovered.txt` with a reason,
and every reason must still be needed: anything else is a failure. Needs `llvm-profdata` and `llvm-cov` that read
what the compiler writes, of its major version or newer, on the PATH or in the directory that LLVM_BIN names.
Usage: coverage.py; CARGO_TARGET_DIR says where it builds (default: target/coverage).
"""

import collections
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
STORE = ("open", "finish", "replay", "external_changes", "compaction", "sync_pool")
PARTS = ("src/codec/", "src/log/", "src/snapshot/", *(f"src/backend/directory/{name}.rs" for name in STORE))
REASONS = ROOT / "tests/uncovered.txt"


def tool(name):
    """The path of a tool of LLVM."""
    version = subprocess.run(["rustc", "-vV"], capture_output=True, text=True, check=True).stdout
    major = re.search(r"LLVM version: (\d+)", version)[1]
    places = [os.environ.get("LLVM_BIN"), f"/usr/lib/llvm-{major}/bin"]
    for place in filter(None, places):
        path = pathlib.Path(place) / name
        if path.exists():
            return str(path)
    found = shutil.which(f"{name}-{major}") or shutil.which(name)
    if not found:
        sys.exit(f"{name} of LLVM {major} is not there; Debian has it in the package llvm-{major}")
    return found


def binaries(environment):
    """Builds the tests and returns what to run."""
    command = ["cargo", "test", "--lib", "--test", "suite", "--no-run", "--message-format=json"]
    built = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True)
    messages = [json.loads(line) for line in built.stdout.splitlines() if line.startswith(b"{")]
    return [m["executable"] for m in messages if m.get("executable") and m.get("profile", {}).get("test")], [
        m["executable"] for m in messages if m.get("executable") and not m.get("profile", {}).get("test")
    ]


def is_part(path):
    """Whether a file is one of those that are held to the rule; the tests in it are not."""
    return path.startswith(PARTS) and not path.endswith("tests.rs") and "/tests/" not in path


def judged(report):
    """How often each line that is held to the rule ran, and its text, by file and number."""
    lines, path, source = {}, None, []
    for row in report.splitlines():
        if row.startswith("SF:"):
            path = os.path.relpath(row[3:], ROOT)
            source = (ROOT / path).read_text().splitlines() if is_part(path) else []
            tests_begin = next((n for n, line in enumerate(source) if line.startswith("#[cfg(test)]")), len(source))
            source = source[:tests_begin]
        elif row.startswith("DA:"):
            number, count = map(int, row[3:].split(",")[:2])
            text = source[number - 1].strip() if number <= len(source) else ""
            # Of a bracket alone nobody can say more than of what it closes.
            if re.search(r"\w", text):
                lines[path, number] = (count, text)
    return lines


def main():
    gone = [part for part in PARTS if not (ROOT / part).exists()]
    if gone:
        sys.exit(f"these have another name by now: {gone}")
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target/coverage")
    profiles = target / "profiles"
    shutil.rmtree(profiles, ignore_errors=True)
    environment = {
        "CRASH_STATES": "8000",
        "CRASH_SUBSETS": "64",
        "CORRUPTION_STEP": "11",
        **os.environ,
        "CARGO_TARGET_DIR": str(target),
        # Counted atomically: of two threads that count the same one count gets lost, and a line whose count is worked
        # out from those of others can come out as never run.
        "RUSTFLAGS": "-C instrument-coverage -C llvm-args=-instrprof-atomic-counter-update-all",
        "LLVM_PROFILE_FILE": str(profiles / "%m-%p.profraw"),
    }
    tests, programs = binaries(environment)
    for binary in tests:
        # Under a limit on the length of files the profile itself cannot be written.
        skip = ["--skip", "a_used_up_quota"]
        subprocess.run([binary, "-q", *skip], cwd=ROOT, env=environment, check=True)
    merged = target / "all.profdata"
    raw = [str(path) for path in sorted(profiles.glob("*.profraw"))]
    # Processes that the tests kill leave profiles that are not whole.
    subprocess.run([tool("llvm-profdata"), "merge", "-sparse", "-failure-mode=all", *raw, "-o", str(merged)], check=True)
    objects = [argument for binary in [*tests, *programs] for argument in ("-object", binary)][1:]
    report = subprocess.run(
        [tool("llvm-cov"), "export", "-format=lcov", f"-instr-profile={merged}", *objects],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    # Each reason is one line's: another line of the same text needs its own.
    reasons = collections.Counter()
    for row in REASONS.read_text().splitlines() if REASONS.exists() else []:
        if row and not row.startswith("#"):
            path, text, _reason = (part.strip() for part in row.split(" | ", 2))
            reasons[path, text] += 1
    lines = judged(report)
    missing, excused = [], 0
    for (path, number), (count, text) in sorted(lines.items()):
        if count == 0 and reasons[path, text] > 0:
            reasons[path, text] -= 1
            excused += 1
        elif count == 0:
            missing.append(f"{path}:{number}: {text}")
    print(f"{len(lines)} lines looked at, {excused} not run for a reason, {len(missing)} not run")
    print("\n".join(missing))
    stale = [f"{path} | {text}" for path, text in reasons.elements()]
    if stale:
        print("no longer needed in tests/uncovered.txt:", *stale, sep="\n")
    sys.exit(bool(missing or stale))


main()
