"""A server of the tests' own that speaks S3, where moto is installed (``moto_server`` on the path, or its place in ``MOTO_SERVER``).

It ends with the process that started it, however that ends: a shell beside it waits for the end of a pipe that only this
process holds.
"""

from __future__ import annotations

import functools
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

#: Runs the server until the pipe ends, and removes its files.
KEEPER = """
home=$1; shift
trap '' INT TERM HUP
"$@" >"$home/log" 2>&1 &
server=$!
read -r _
kill "$server"; wait "$server" 2>/dev/null
rm -rf "$home"
"""

#: What moto asks for and does not look at, where nothing else is set.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}


class BucketServer:
    """A server with one bucket that runs for as long as this process."""

    def __init__(self, program: str) -> None:
        for name, value in CREDENTIALS.items():
            os.environ.setdefault(name, value)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        home = tempfile.mkdtemp(prefix="aral-moto-")
        line = [program, "-H", "127.0.0.1", "-p", str(self.port)]
        self.keeper = subprocess.Popen(
            ["/bin/sh", "-c", KEEPER, "keeper", home, *line], stdin=subprocess.PIPE, cwd=home, start_new_session=True
        )
        for _ in range(600):
            if self._has_made("aral"):
                return
            time.sleep(0.1)
        raise RuntimeError("moto does not start")

    def _has_made(self, bucket: str) -> bool:
        asked = urllib.request.Request(f"http://127.0.0.1:{self.port}/{bucket}", method="PUT")
        try:
            with urllib.request.urlopen(asked, timeout=10):
                return True
        except (urllib.error.URLError, ConnectionError):
            return False

    def url(self, prefix: str, bucket: str = "aral") -> str:
        """The URL of a store in this server's bucket."""
        return f"s3://{bucket}/{prefix}?endpoint=http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """Ends it and removes its files."""
        assert self.keeper.stdin is not None
        self.keeper.stdin.close()
        self.keeper.wait(60)


@functools.cache
def shared() -> BucketServer | None:
    """The server that the tests of a run share; ``None`` where none is installed."""
    program = os.environ.get("MOTO_SERVER") or shutil.which("moto_server")
    return None if program is None else BucketServer(program)
