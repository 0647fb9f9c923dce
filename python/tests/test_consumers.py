"""Named readers of the log: each event at least once, and what was acknowledged not again."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from aral_store import (
    AsyncStore,
    Closed,
    InvalidInput,
    Locked,
    Missed,
    NotFound,
    ReadOnly,
    Store,
    Unsupported,
)


@pytest.fixture(params=["directory", "database"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "store") if request.param == "directory" else f"sqlite:{tmp_path / 'store.db'}"


def test_what_is_acknowledged_is_not_given_again_and_the_rest_is(where: str):
    with Store(where) as store:
        for n in range(4):
            store.add_message("c1", str(n))
        with store.consumer("indexer") as consumer:
            first, second = consumer.next_batch(2)
            assert (first["seq"], first["type"], second["content"]) == (1, "add_message", "1")
            consumer.acknowledge(1)
            assert (consumer.name, consumer.acknowledged, consumer.missed) == ("indexer", 1, None)
        if not where.startswith("sqlite:"):
            store.compact()
    with Store(where) as store, store.consumer("indexer") as consumer:
        assert [event["seq"] for event in consumer.next_batch()] == [2, 3, 4]
        consumer.acknowledge(4)
        assert consumer.next_batch() == []
        (status,) = store.consumers()
        assert (status.name, status.acknowledged, status.lag) == ("indexer", 4, 0)
        assert status.holder == f"process {os.getpid()}"
        with pytest.raises(Locked, match=f"process {os.getpid()}"):
            store.consumer("indexer")
        consumer.close()
        consumer.close()
        with pytest.raises(Closed):
            consumer.next_batch()
        assert store.reset_consumer("indexer", 3) == 2
        store.remove_consumer("indexer")
        with pytest.raises(NotFound):
            store.remove_consumer("indexer")
        assert store.consumers() == []


def test_a_new_one_begins_where_it_is_said_and_gives_what_is_asked_for(where: str):
    with Store(where) as store:
        store.add_message("c1", "before")
        with store.consumer("mailer", begin="now", conversations=["c1"], kinds=["set_title"]) as mailer:
            store.add_message("c1", "after")
            store.set_title("c1", "a title")
            store.set_title("c1", "another")
            assert [event["title"] for event in mailer.next_batch()] == ["a title", "another"]
            with pytest.raises(InvalidInput):
                mailer.acknowledge(2)
        for name, rest in [("Mailer", {}), ("m", {"kinds": ["speak"]}), ("m", {"begin": 99}), ("m", {"begin": "later"})]:
            with pytest.raises(InvalidInput):
                store.consumer(name, **rest)  # type: ignore[arg-type]
        assert [status.name for status in store.consumers()] == ["mailer"]


def test_a_directory_is_consumed_beside_its_writer_and_a_database_is_not_read_only(where: str):
    with Store(where) as store:
        store.add_message("c1", "x")
        with Store(where, read_only=True) as reader:
            if where.startswith("sqlite:"):
                with pytest.raises(ReadOnly):
                    reader.consumer("indexer")
                return
            with reader.consumer("indexer") as consumer:
                store.add_message("c1", "y")
                assert [event["content"] for event in consumer.next_batch()] == ["x", "y"]
                consumer.acknowledge(2)
        assert store.consumers()[0].acknowledged == 2


def test_what_is_gone_is_told_and_a_store_without_events_has_no_consumers(tmp_path: Path):
    with Store(tmp_path) as store:
        store.add_message("c1", "x")
        store.compact()
        with pytest.raises(Missed, match="the oldest that the log has is 2"):
            store.consumer("indexer", begin=1)
    with Store() as store, pytest.raises(Unsupported):
        store.consumer("indexer")


def test_one_of_an_asynchronous_store_is_awaited(where: str):
    async def main() -> None:
        async with await AsyncStore.open(where) as store:
            await store.add_message("c1", "x")
            async with await store.consumer("indexer", begin="start") as consumer:
                (event,) = await consumer.next_batch(10)
                await consumer.acknowledge(event["seq"])
            assert [status.lag for status in await store.consumers()] == [0]
            await store.remove_consumer("indexer")

    asyncio.run(main())


def test_a_single_name_is_not_taken_for_its_letters(tmp_path: Path):
    # What a filter leaves out counts as acknowledged.
    with Store(tmp_path) as store:
        store.add_message("c1", "x")
        for wrong in ({"conversations": "c1"}, {"kinds": "add_message"}):
            with pytest.raises(InvalidInput, match="several"):
                store.consumer("indexer", **wrong)
        assert store.consumers() == []
