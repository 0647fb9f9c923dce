"""Plants bugs in a copy of the sources, one at a time, and shows that the tests catch each of them.

Every bug is a piece of text of the sources and what it becomes; a piece that is not there any more is an error,
so the list cannot go stale in silence. All are built into one test binary, behind a switch that an environment
variable throws, so that there is one build. Without a bug the same tests must pass.
Usage: planted_bugs.py [NUMBER...]; CARGO_TARGET_DIR says where it builds (default: a folder that is removed).
With --check it only sees whether each of them can still be planted.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

from planted import engine, journal, search, sql, upkeep

ROOT = pathlib.Path(__file__).resolve().parent.parent

SWITCH = """
/// Whether the planted bug of this number is wanted.
pub(crate) fn planted(number: u32) -> bool {
    static WANTED: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    *WANTED.get_or_init(|| std::env::var("PLANTED_BUG").ok().and_then(|n| n.parse().ok()).unwrap_or(0)) == number
}
"""

CHECK = "--check"

# The mark of a test beside the code; all others are the suite's.
UNIT = "unit:"

# What is wrong, in which file, the text, what it becomes (P is the switch), and the tests that must see it.
BUGS = engine.BUGS + upkeep.BUGS + sql.BUGS + journal.BUGS + search.BUGS


def plant(tree):
    """Puts every bug into a copy of the sources."""
    for number, (what, name, old, new, _tests, *more) in enumerate(BUGS, 1):
        path = tree / "src" / name
        text = path.read_text()
        for old, new in [(old, new), *more]:
            if text.count(old) != 1:
                sys.exit(f"bug {number}, {what}: {name} has this {text.count(old)} times:\n{old}")
            text = text.replace(old, re.sub(r"\bP\b", f"crate::planted({number})", new))
        path.write_text(text)
    for root in ("src/lib.rs", "src/bin/aral-store/main.rs"):
        path = tree / root
        path.write_text(path.read_text() + SWITCH)


def build(tree, target):
    """Builds the tests and returns their binaries: the suite's, and that of the tests beside the code."""
    command = ["cargo", "test", "--lib", "--test", "suite", "--no-run", "--message-format=json"]
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target)}
    built = subprocess.run(command, cwd=tree, env=environment, stdout=subprocess.PIPE, check=True)
    messages = [json.loads(line) for line in built.stdout.splitlines() if line.startswith(b"{")]
    made = [m for m in messages if m.get("executable") and m["profile"]["test"]]
    found = {m["target"]["kind"][0]: m["executable"] for m in made}
    return found["test"], found["lib"]


def run(binaries, tree, number, tests):
    """Runs tests with a bug; those that fail, `None` if all pass."""
    units = [test.removeprefix(UNIT) for test in tests if test.startswith(UNIT)]
    lists = ([test for test in tests if not test.startswith(UNIT)], units)
    failed = [run_of(binary, tree, number, names) for binary, names in zip(binaries, lists) if names]
    return ", ".join(filter(None, failed)) or None


def run_of(binary, tree, number, tests):
    """Runs tests of one binary."""
    environment = {
        "CRASH_STATES": "40000",
        "FAULT_STEP": "1",
        "CORRUPTION_STEP": "23",
        "RUST_BACKTRACE": "0",
        **os.environ,
        "PLANTED_BUG": str(number),
    }
    try:
        done = subprocess.run([binary, *tests], cwd=tree, env=environment, capture_output=True, text=True, timeout=900)
    except subprocess.TimeoutExpired:
        return "nothing: it hangs"
    if done.returncode == 0:
        if re.search(r"^running 0 tests", done.stdout, re.MULTILINE):
            sys.exit(f"no test is called {tests}")
        return None
    failed = re.findall(r"^test (\S+) \.\.\. FAILED", done.stdout, re.MULTILINE)
    return ", ".join(failed) or f"the whole run, by exit code {done.returncode}"


def main(wanted):
    with tempfile.TemporaryDirectory() as home:
        tree = pathlib.Path(home) / "tree"
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns("target", ".git", "corpus", "artifacts"))
        plant(tree)
        if wanted == CHECK:
            print(f"{len(BUGS)} bugs can be planted")
            return
        # The suite reads the saved inputs of the fuzzers, which are not sources.
        shutil.copytree(ROOT / "tests/corpus", tree / "tests/corpus", dirs_exist_ok=True)
        binaries = build(tree, os.environ.get("CARGO_TARGET_DIR") or pathlib.Path(home) / "target")
        wanted = wanted or range(1, len(BUGS) + 1)
        tests = sorted({test for number in wanted for test in BUGS[number - 1][4]})
        failed = run(binaries, tree, 0, tests)
        if failed:
            sys.exit(f"without any bug: {failed}")
        escaped = []
        for number in wanted:
            what, tests = BUGS[number - 1][0], BUGS[number - 1][4]
            began = time.monotonic()
            caught = run(binaries, tree, number, tests)
            print(f"{number:2} {what}: {'caught by ' + caught if caught else 'NOT CAUGHT'}", end=" ")
            print(f"({time.monotonic() - began:.0f} s)", flush=True)
            if caught is None or caught.startswith("nothing"):
                escaped.append(number)
    print(f"{len(list(wanted)) - len(escaped)} of {len(list(wanted))} planted bugs caught")
    if escaped:
        sys.exit(f"not caught: {escaped}")


main(CHECK if sys.argv[1:] == ["--check"] else [int(argument) for argument in sys.argv[1:]])
