"""Where the stores of the tests are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import server

#: The engines that keep a store in a database.
DATABASES = ["sqlite", "postgres"]

#: What a store can be kept in.
KINDS = ["file", *DATABASES]

#: A directory, or the URL of a database.
Place = Path | str


def database_server() -> server.Server:
    """The PostgreSQL server of this run, without which the test is skipped."""
    found = server.shared()
    if found is None:
        pytest.skip("no PostgreSQL here")
    return found


def place_in(kind: str, dir: Path) -> Place:
    """The place of a store of this kind, one for each directory."""
    if kind == "postgres":
        # A name of its own, however long the directory's is.
        return database_server().url("t" + hashlib.sha256(bytes(dir)).hexdigest()[:24])
    return f"sqlite:{dir}/data.db" if kind == "sqlite" else dir / "data"


def unmirrored(place: Place | None) -> dict[str, Any]:
    """What keeps a message store from writing JSON files, which one in a database does not have."""
    return {} if str(place).startswith(("sqlite:", "postgres:")) else {"mirror": "never"}


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """The place of one store, of each kind that keeps it."""
    return place_in(request.param, tmp_path)


@pytest.fixture(scope="session", autouse=True)
def end_of_the_server() -> Iterator[None]:
    """Ends the server with the run, if one was started."""
    yield
    if server.shared.cache_info().currsize and (found := server.shared()) is not None:
        found.stop()
