"""Where the stores of the tests are."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import bucket_server as buckets
import server

#: The engines that keep a store in a database.
DATABASES = ["sqlite", "postgres"]

#: What a store can be kept in.
KINDS = ["file", *DATABASES, "s3"]

#: A directory, or the URL of a database or of a place in a bucket.
Place = Path | str


def database_server() -> server.Server:
    """The PostgreSQL server of this run, without which the test is skipped."""
    found = server.shared()
    if found is None:
        pytest.skip("no PostgreSQL here")
    return found


def bucket_server() -> buckets.BucketServer:
    """The server of this run that speaks S3, without which the test is skipped."""
    found = buckets.shared()
    if found is None:
        pytest.skip("no moto here")
    return found


def place_in(kind: str, dir: Path) -> Place:
    """The place of a store of this kind, one for each directory."""
    # A name of its own, however long the directory's is.
    name = "t" + hashlib.sha256(bytes(dir)).hexdigest()[:24]
    if kind == "postgres":
        return database_server().url(name)
    if kind == "s3":
        return bucket_server().url(name)
    return f"sqlite:{dir}/data.db" if kind == "sqlite" else dir / "data"


def unmirrored(place: Place | None) -> dict[str, Any]:
    """What keeps a message store from writing JSON files by itself, which one in a database or a bucket does not."""
    return {} if str(place).startswith(("sqlite:", "postgres:", "s3:")) else {"mirror": "never"}


async def cancelled_at(moment: int, task: asyncio.Future[Any]) -> None:
    """Cancels a call at one of 200 moments: before it begins, as it begins, and later and later in its midst."""
    for _ in range(moment % 4):
        await asyncio.sleep(0)
    if moment > 20:
        await asyncio.sleep(0.00002 * moment)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """The place of one store, of each kind that keeps it."""
    return place_in(request.param, tmp_path)


@pytest.fixture(scope="session", autouse=True)
def end_of_the_servers() -> Iterator[None]:
    """Ends the servers with the run, if any were started."""
    yield
    for shared in (server.shared, buckets.shared):
        if shared.cache_info().currsize and (found := shared()) is not None:
            found.stop()
