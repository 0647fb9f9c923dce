"""Searching: the same answers from every store, and values as Python has them."""

from __future__ import annotations

import asyncio
from datetime import datetime, timezone
from pathlib import Path

import pytest

from aral_store import AsyncStore, Closed, InvalidInput, NotFound, SearchIndex, Store, Unsupported

from conftest import KINDS, place_in


def filled(store: Store) -> Store:
    for number in range(150):
        store.add_message("c1", f"rain {number}", created_at=datetime(2025, 3, 13, tzinfo=timezone.utc))
    store.add_message("c2", "Ünïcode 👩‍👩‍👧 東京 \ud800 needle", role="assistant", id="odd \udc00")
    return store


@pytest.fixture(params=["memory", *KINDS])
def store(request: pytest.FixtureRequest, tmp_path: Path):
    place = None if request.param == "memory" else place_in(request.param, tmp_path)
    with Store(place, sync="os") as store:
        yield filled(store)


def test_hits_are_newest_first_and_narrowed(store: Store):
    assert [found.place for found in store.search("rain")] == list(range(149, -1, -1))
    assert [found.place for found in store.search("rain 14*", limit=3)] == [149, 148, 147]
    assert store.search("rain", conversation_id="c2") == []
    assert len(store.search("needle", role="assistant")) == 1
    bound = datetime(2025, 3, 14, tzinfo=timezone.utc)
    assert (len(store.search("rain", since=bound)), len(store.search("rain", until=bound))) == (0, 150)


def test_the_best_come_first_where_they_are_wanted(store: Store):
    store.add_message("c3", "needle, needle, and nothing else", created_at=datetime(2020, 1, 1, tzinfo=timezone.utc))
    assert [found.conversation_id for found in store.search("needle")] == ["c2", "c3"]
    best = store.search("needle", order="best")
    assert [found.conversation_id for found in best] == ["c3", "c2"] and best[0].score > best[1].score > 0
    assert [found.place for found in store.search("rain", order="best", limit=2)] == [149, 148]
    with pytest.raises(InvalidInput):
        store.search("needle", order="oldest")


def test_places_in_a_snippet_are_those_of_its_string(store: Store):
    (found,) = store.search("京 NEEDLE")
    assert (found.conversation_id, found.place, found.id, found.role) == ("c2", 0, "odd \udc00", "assistant")
    assert [found.snippet.text[begin:end] for begin, end in found.snippet.hits] == ["京", "needle"]
    assert "👩‍👩‍👧" in found.snippet.text and not found.snippet.is_cut_before


def test_what_means_nothing_is_refused(store: Store):
    for query in ("", '"open', "*", "\ud800"):
        with pytest.raises(InvalidInput):
            store.search(query)
    with pytest.raises(InvalidInput):
        store.search("x", limit=-1)
    with pytest.raises(NotFound):
        store.search("x", conversation_id="nowhere")


def test_the_event_loop_goes_on():
    async def main():
        async with await AsyncStore.open() as store:
            await store.add_message("c1", "Will it rain?")
            return await store.search("rain")

    assert [found.conversation_id for found in asyncio.run(main())] == ["c1"]


def test_a_directory_gets_an_index_that_says_how_far_it_has_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with filled(Store("data", sync="os")) as store:
        without = [store.search(query, order=order) for query in ("rain", "14*") for order in ("newest", "best")]
        monkeypatch.chdir("/")
        assert store.search_index() is None and not store.drop_search_index()
        index = store.index_search()
        assert index == store.search_index() == SearchIndex(151, (tmp_path / "data/log/SEARCH").stat().st_size)
        assert [store.search(query, order=order) for query in ("rain", "14*") for order in ("newest", "best")] == without
        store.add_message("c1", "rain again")
        assert len(store.search("rain")) == 151 and store.search_index() == index
        assert store.index_search().last_seq == 152
        assert store.drop_search_index() and store.search_index() is None
    with pytest.raises(Closed):
        store.index_search()


def test_what_has_no_index_beside_a_log_says_so(tmp_path: Path):
    for store in (Store(), Store(f"sqlite:{tmp_path}/data.db"), Store(tmp_path / "sealed", key=bytes(32))):
        with store, pytest.raises(Unsupported):
            store.index_search()


def test_the_index_is_made_while_the_event_loop_goes_on(tmp_path: Path):
    async def main():
        async with await AsyncStore.open(tmp_path / "data") as store:
            await store.add_message("c1", "Will it rain?")
            made = await store.index_search()
            return made == await store.search_index(), await store.drop_search_index()

    assert asyncio.run(main()) == (True, True)
