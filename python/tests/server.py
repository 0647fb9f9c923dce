"""A PostgreSQL server of the tests' own, where the programs are installed.

It ends with the process that started it, however that ends: a shell beside it waits for the end of a pipe that only this
process holds. Nobody else's server is used or touched.
"""

from __future__ import annotations

import functools
import os
import pwd
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

#: Starts the server, and ends it and removes its files when the pipe ends.
KEEPER = """
bin=$1 home=$2; shift 2
trap '' INT TERM HUP
"$bin/pg_ctl" -D "$home/data" -w -s -t 60 -l "$home/log" -o "$*" start >/dev/null 2>&1 \
    && echo started || echo "failed: $(tail -n 3 "$home/log")"
read -r _
"$bin/pg_ctl" -D "$home/data" -m immediate -w -s stop >/dev/null 2>&1
cd /
rm -rf "$home"
"""

#: Who may come: everybody, but one only with a password.
ACCESS = """
host all guarded 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
"""

#: The password of the user ``guarded``, as it stands in a URL.
PASSWORD = "se%40cr%2Fet"


def programs() -> Path | None:
    """Where the server's programs are; the newest ones."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for bin in [*installed, *map(Path, os.get_exec_path())]:
        if all((bin / name).is_file() for name in ("initdb", "postgres", "pg_ctl", "psql")):
            return bin
    return None


def _owner() -> dict[str, Any]:
    """Whom the server runs as: it refuses root."""
    if os.geteuid() != 0:
        return {}
    try:
        known = pwd.getpwnam("postgres")
    except KeyError:
        known = pwd.getpwuid(65534)
    return {"user": known.pw_uid, "group": known.pw_gid, "extra_groups": []}


class Server:
    """A server that runs for as long as this process."""

    def __init__(self, bin: Path, *options: str) -> None:
        self.bin, self.owner = bin, _owner()
        home = Path(tempfile.mkdtemp(prefix="aral-postgres-"))
        if self.owner:
            os.chown(home, self.owner["user"], self.owner["group"])
        made = ["initdb", "-A", "trust", "-U", "app", "--no-sync", "--locale=C.UTF-8", "-E", "UTF8", "-D", str(home / "data")]
        self.run(made, check=True)
        (home / "data" / "pg_hba.conf").write_text(ACCESS)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=''", "max_connections=200", *options]
        arguments = [str(bin), str(home), f"-p {self.port}", *(f"-c {setting}" for setting in settings)]
        self.keeper = subprocess.Popen(
            ["/bin/sh", "-c", KEEPER, "keeper", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=home,
            start_new_session=True,
            **self.owner,
        )
        assert self.keeper.stdout is not None
        said = self.keeper.stdout.readline()
        assert said == "started\n", said
        self.sql("CREATE ROLE guarded LOGIN PASSWORD 'se@cr/et'; GRANT CREATE ON DATABASE postgres TO guarded")

    def run(self, line: list[str], **more: Any) -> subprocess.CompletedProcess[str]:
        """Runs one of the server's programs as its owner."""
        line = [str(self.bin / line[0]), *line[1:]]
        env = os.environ | {"LC_ALL": "C.UTF-8"}
        return subprocess.run(line, capture_output=True, text=True, cwd="/", env=env, **self.owner, **more)

    def sql(self, sql: str) -> str:
        """Carries SQL out as somebody else, and gives what it answers."""
        line = ["psql", "-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.port)]
        done = self.run([*line, "-U", "app", "-d", "postgres", "-c", sql])
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def url(self, schema: str, login: str = "app") -> str:
        """The URL of a store in a schema of this server."""
        return f"postgres://{login}@127.0.0.1:{self.port}/postgres?schema={schema}"

    def stop(self) -> None:
        """Ends it and removes its files."""
        assert self.keeper.stdin is not None and self.keeper.stdout is not None
        self.keeper.stdin.close()
        self.keeper.wait(60)
        self.keeper.stdout.close()


@functools.cache
def shared() -> Server | None:
    """The server that the tests of a run share; ``None`` where none is installed."""
    bin = programs()
    return None if bin is None else Server(bin, "fsync=off")
