"""What README, python/README and docs/cli.md tell a newcomer to type, typed by one who knows nothing else.

    python3 tests/doors.py [WHEEL [CLONE]]

Clones this repository into a new folder, unless one is given that was cloned and built in, makes a fresh virtual environment, and runs there, as they stand, the
commands of the README's blocks of sh, its Rust program in a project of its own, its lines of Python and those of
python/README, and the session of docs/cli.md with the program that the README installs. Without WHEEL it builds
one, as python/README says. Fails at the first thing that does not do what it says.
"""

import os
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


def run(command: list[str] | str, where: Path, **environment: str) -> str:
    """Runs a command, or a line of shell, and gives what it said; ends with what went wrong otherwise."""
    shell = isinstance(command, str)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command] if shell else command,
        cwd=where,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        sys.exit(f"in {where}: {command}\nended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def blocks(document: Path, language: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```", document.read_text(), re.DOTALL | re.MULTILINE)
    assert found, f"{document} has no block of {language}"
    return found


def command_line(clone: Path, home: Path) -> Path:
    """The README's blocks of shell: the main job, and every command of the command line in one directory."""
    first, session = blocks(clone / "README.md", "sh")
    main_job, tests = (line.split("#")[0].strip() for line in first.strip().splitlines())
    assert (main_job, tests) == ("cargo run --release --example quickstart", "cargo test")
    run(main_job, clone)
    install, *commands = session.strip().splitlines()
    assert install.startswith("cargo install --path .")
    run(f"cargo install --locked --path {clone} --root {home}", home)
    room = home / "room"
    room.mkdir()
    path = f"{home / 'bin'}:{os.environ['PATH']}"
    for line in commands:
        run(line, room, PATH=path)
    listed = run("aral-store ls --json", room, PATH=path)
    # The third message was taken back by undo, and the fork has the first alone.
    for wanted in ('"id":"plans"', '"messages":2', '"id":"plans-2"', '"messages":1'):
        assert wanted in listed, listed
    assert '"messages":2' in run("aral-store -d repaired ls --json", room, PATH=path)
    print(f"README: {len(commands)} commands of the shell", flush=True)
    return home / "bin" / "aral-store"


def library(clone: Path, home: Path) -> None:
    """The README's Rust program, in a project that depends on the clone."""
    project = home / "program"
    (project / "src").mkdir(parents=True)
    (project / "Cargo.toml").write_text(
        '[package]\nname = "program"\nversion = "0.1.0"\nedition = "2024"\n\n'
        + blocks(clone / "README.md", "toml")[0].replace("../aral-store", str(clone))
    )
    (project / "src/main.rs").write_text(blocks(clone / "README.md", "rust,no_run")[0])
    said = run(["cargo", "run", "--quiet"], project, RUSTFLAGS="-D warnings")
    assert said.startswith("2 messages, 0 before them"), said
    assert list((project / "data/conversations").glob("*.json")), "no JSON file"
    print("README: the program in Rust", flush=True)


def python(clone: Path, home: Path, wheel: Path | None) -> None:
    """The seed's lines and every snippet that needs no framework, in a virtual environment with nothing else."""
    home = home / "python"
    venv.create(home / "venv", with_pip=True)
    interpreter = str(home / "venv/bin/python")
    if wheel is None:
        run([interpreter, "-m", "pip", "install", "--quiet", "maturin"], home)
        run(f"{home}/venv/bin/maturin build --release --out {home}/dist", clone / "python")
        wheel = next((home / "dist").glob("*.whl"))
    run([interpreter, "-m", "pip", "install", "--quiet", str(wheel)], home)
    count = 0
    for document in (clone / "README.md", clone / "python/README.md"):
        for text in blocks(document, "python"):
            if re.search(r"^\s*(from|import) (agents|langchain|aral|src|numpy|your)\b|openai_agents|langchain|langgraph|import aral_store.aral|agent", text, re.MULTILINE):
                continue
            room = home / f"room-{count}"
            room.mkdir()
            run([interpreter, "-W", "error", "-c", text], room)
            count += 1
            if 'MessageStore(save_dir="./data")' in text:
                assert (room / "data/message_store.json").exists(), text
                # What is there is loaded by the next one, in another process.
                again = 'from aral_store import MessageStore; print(len(MessageStore(save_dir="./data").get_all_conversations()))'
                assert run([interpreter, "-c", again], room).strip() == "1", text
    assert count >= 4, f"only {count} snippets of Python were run"
    print(f"README and python/README: {count} snippets of Python", flush=True)


def documented_session(clone: Path, program: Path) -> None:
    """The session of docs/cli.md, line by line, with the program that was installed."""
    with tempfile.TemporaryDirectory() as room:
        path = f"{program.parent}:{os.environ['PATH']}"
        count = 0
        for block in blocks(clone / "docs/cli.md", "console"):
            for line in block.splitlines():
                if line.startswith("$ "):
                    # What the commands say is held to the document by the test suite; here they must be there.
                    done = subprocess.run(
                        ["bash", "-c", line[2:]], cwd=room, env=os.environ | {"PATH": path}, capture_output=True, text=True
                    )
                    assert done.returncode not in (126, 127, 134, 139), f"{line}\n{done.stdout}{done.stderr}"
                    count += 1
    assert count > 20, f"only {count} commands of docs/cli.md were run"
    print(f"docs/cli.md: {count} commands", flush=True)


def main() -> None:
    wheel = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else None
    clone = Path(sys.argv[2]).resolve() if len(sys.argv) > 2 else None
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        if clone is None:
            clone = home / "clone"
            run(["git", "clone", "--quiet", str(REPOSITORY), str(clone)], home)
        program = command_line(clone, home)
        library(clone, home)
        documented_session(clone, program)
        (home / "python").mkdir()
        python(clone, home, wheel)
    print("every door opens")


if __name__ == "__main__":
    main()
