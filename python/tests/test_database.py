"""A store in a database: what it has that a directory has not, and the other way round."""

from __future__ import annotations

import asyncio
import os
import pickle
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aral_store import (
    AralStoreError,
    AsyncStore,
    Conflict,
    Corrupt,
    InvalidInput,
    MessageStore,
    NotFound,
    ReadOnly,
    Store,
    Unsupported,
    repair,
    verify,
)
from conftest import DATABASES, database_server, place_in
from server import PASSWORD
from test_processes import forking, run, started


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(place_in(request.param, tmp_path))


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    return str(place_in("sqlite", tmp_path))


@pytest.fixture
def postgres(tmp_path: Path) -> str:
    return str(place_in("postgres", tmp_path))


def another(url: str, tmp_path: Path) -> str:
    """The URL of another store in the same engine, which is not there yet."""
    return str(place_in(url.partition(":")[0], tmp_path / "another"))


def contents(place: str, id: str = "c1") -> list[str]:
    with Store(place, read_only=True) as store:
        return [message.content for message in store.messages(id)]


def test_a_relative_url_means_the_directory_of_the_opening_for_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(tmp_path)
    store, aral = Store("sqlite:agents.db"), MessageStore(save_dir="SQLite:agents.db")
    assert repr(store) == "<store in 'sqlite:agents.db'>"
    assert repr(aral) == f"<message store in 'SQLite:{tmp_path}/agents.db'>" and aral.save_dir is None
    later = asyncio.run(AsyncStore.open("sqlite:agents.db"))
    follower = store.follow(wait=False)
    monkeypatch.chdir(elsewhere)
    store.add_message("c1", "one")
    aral.add_message("c1", "two")
    asyncio.run(later.add_message("c1", "three"))
    assert [event["content"] for event in follower] == ["one", "two", "three"]
    assert [message.content for message in aral.get_conversation_messages("c1")] == ["one", "two", "three"]
    for each in (store, aral):
        each.close()
    asyncio.run(later.close())
    assert list(elsewhere.iterdir()) == []
    assert contents(f"sqlite:{tmp_path}/agents.db") == contents(f"sqlite://{tmp_path}/agents.db") == ["one", "two", "three"]


@pytest.mark.parametrize("mirror", ["always", "auto", "close", "never"])
def test_a_mirror_of_what_has_no_files_is_refused(tmp_path: Path, url: str, mirror: Any):
    with pytest.raises(InvalidInput, match="mirror is about JSON files"):
        MessageStore(url, mirror=mirror)
    assert list(tmp_path.iterdir()) == []


def test_a_kind_of_store_that_is_not_known_is_said_to_be_in_a_database(url: str):
    with pytest.warns(UserWarning, match="'sql' is not known: the store is in a database, in '(sqlite|postgres):"):
        MessageStore(url, "sql").close()
    MessageStore(url, "file").close()


def test_what_a_database_does_not_have_is_unsupported(tmp_path: Path, url: str):
    with Store(url) as store, MessageStore(url) as aral:
        store.add_message("c1", "x")
        calls: list[Callable[[], object]] = [
            store.compact,
            aral.compact,
            lambda: store.accept("c1"),
            lambda: Store(url, salvage=True),
        ]
        for call in calls:
            with pytest.raises(Unsupported) as refused:
                call()
            assert isinstance(refused.value, NotImplementedError)
        assert verify(url).is_sound and store.verify().is_sound and aral.stats().messages == 1
        assert [message.content for message in store.messages("c1")] == ["x"]
    missing = another(url, tmp_path)
    for read in (lambda: verify(missing), lambda: Store(missing, read_only=True), lambda: MessageStore(missing, read_only=True)):
        with pytest.raises(NotFound):
            read()
    assert {path.name for path in tmp_path.iterdir()} <= {"data.db", "data.db-wal", "data.db-shm", "data.db-turn"}


def test_a_store_in_a_database_is_repaired_in_its_place_beside_whoever_has_it_open(tmp_path: Path, url: str):
    with Store(url) as store:
        store.add_message("c1", "x")
        report = repair(url, in_place=True)
        assert report.is_complete and report.kept is None and report.messages == 1
        store.add_message("c1", "y")
    assert verify(url).is_sound and contents(url) == ["x", "y"]


def test_a_repaired_table_says_again_what_its_events_say(tmp_path: Path, sqlite: str):
    with Store(sqlite) as store:
        store.add_message("c1", "as it was written")
    with sqlite3.connect(tmp_path / "data.db") as database:
        database.execute("UPDATE aral_message_rows SET content = 'by hand'")
    database.close()
    assert not verify(sqlite).is_sound
    report = repair(sqlite, in_place=True)
    assert report.is_complete and any("aral_quarantine" in note for note in report.notes)
    assert verify(sqlite).is_sound and contents(sqlite) == ["as it was written"]


def test_what_can_be_read_of_a_damaged_database_goes_into_a_new_store(tmp_path: Path, sqlite: str):
    with Store(sqlite) as store:
        store.batch([{"type": "add_message", "conversation_id": "c1", "content": text} for text in ("one", "two", "three")])
        store.add_message("c2", "four")
    with sqlite3.connect(tmp_path / "data.db") as database:
        database.execute("UPDATE aral_events SET payload = zeroblob(length(payload)) WHERE seq = (SELECT max(seq) FROM aral_events)")
    database.close()
    with pytest.raises(Corrupt):
        repair(sqlite, in_place=True)
    before = (tmp_path / "data.db").read_bytes()
    for to in (tmp_path / "new", f"sqlite:{tmp_path}/new.db"):
        report = repair(sqlite, to)
        assert not report.is_complete and report.lost
        assert verify(to).is_sound and contents(str(to)) == ["one", "two", "three"]
    assert (tmp_path / "data.db").read_bytes() == before
    with pytest.raises(InvalidInput):
        repair(sqlite, f"sqlite:{tmp_path}/new.db")
    with pytest.raises(InvalidInput):
        repair(sqlite, sqlite)


def test_a_database_that_is_not_there_is_not_repaired(tmp_path: Path, url: str):
    missing = another(url, tmp_path)
    for call in (lambda: repair(missing, in_place=True), lambda: repair(missing, tmp_path / "new")):
        with pytest.raises(NotFound):
            call()
    assert not (tmp_path / "new").exists()


def test_a_database_has_no_files_of_a_directory_and_exports_them(tmp_path: Path, url: str):
    with MessageStore(url) as store:
        store.add_message("c1", "x")
        assert store._store.export(tmp_path / "export").conversations == 1
    with MessageStore(tmp_path / "export") as exported:
        assert [message.content for message in exported.get_conversation_messages("c1")] == ["x"]


@pytest.mark.parametrize(
    "given",
    [
        "postgres://app:secret@127.0.0.1:1/x",
        "postgres://app:se/secret@127.0.0.1:1/x?schema=pg_x",
        " 'mysql://app:secret@db/x",
        "postgresql://127.0.0.1/x?password=secret",
    ],
)
def test_no_error_shows_a_password(given: str):
    from aral_store._async_store import checked_store

    calls: list[Callable[[], object]] = [
        lambda: Store(given),
        lambda: MessageStore(given),
        lambda: MessageStore(given, "sql"),
        lambda: asyncio.run(AsyncStore.open(given)),
        lambda: checked_store(given, "a Store"),
        lambda: AsyncStore(given),  # type: ignore[arg-type]
        lambda: verify(given),
        lambda: repair(given, "new"),
        lambda: Store(given, sync="sometimes"),  # type: ignore[arg-type]
        lambda: Store(given, unique_ids=1),  # type: ignore[arg-type]
        lambda: Store(Path(given)),
    ]
    for call in calls:
        with warnings.catch_warnings(record=True) as warned, pytest.raises((AralStoreError, TypeError)) as refused:
            warnings.simplefilter("always")
            call()
        told = [f"{refused.value}{refused.value!r}{refused.value.args}", *(str(warning.message) for warning in warned)]
        assert "secret" not in "".join(told)


def test_a_store_behind_a_password_shows_it_nowhere(tmp_path: Path):
    base = database_server()
    schema = f"guarded{os.getpid()}"
    url = base.url(schema, f"guarded:{PASSWORD}")
    wrong = base.url(schema, f"guarded:not{PASSWORD}")
    base.sql(f"CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION guarded")
    store = Store(url)
    with pytest.warns(UserWarning, match="is not known") as warned:
        aral = MessageStore(url, "sql")
    later = AsyncStore(store)
    store.add_message("c1", "x")
    told = [repr(each) for each in (store, aral, later, store.recovery(), store.stats(), vars(aral))]
    told += [str(warning.message) for warning in warned]
    assert f"127.0.0.1:{base.port}/postgres?schema={schema}" in told[0]
    aral.close(); store.close()
    calls: list[Callable[[], object]] = [
        lambda: Store(wrong),
        lambda: MessageStore(wrong),
        lambda: Store(base.url(schema, "guarded")),
        lambda: store.add_message("c1", "x"),
        lambda: aral.add_message("c1", "x"),
        lambda: store.add_message("", "x"),
        lambda: Store(url, salvage=True),
        lambda: repair(url, url),
        lambda: repair(another(url, tmp_path).replace("app@", f"guarded:{PASSWORD}@"), in_place=True),
        lambda: MessageStore(url, mirror="auto"),
        lambda: Store(another(url, tmp_path).replace("app@", f"guarded:{PASSWORD}@"), read_only=True),
        lambda: pickle.dumps(store),
    ]
    for call in calls:
        with pytest.raises((AralStoreError, TypeError)) as refused:
            call()
        assert getattr(refused.value, "path", None) is None, "a server is no file"
        told.append("".join(traceback.format_exception(refused.value)))
    for secret in (PASSWORD, "se@cr/et", "cr%2F", "cr/et"):
        assert secret not in "".join(told)


def test_a_view_shows_what_others_save_and_saves_nothing(url: str):
    with MessageStore(url) as writer, MessageStore(url, read_only=True) as view:
        live = writer.create_conversation(id="c1")
        assert view.get_conversation("c1") is not live
        for n in range(3):
            writer.add_message("c1", str(n))
            assert [message.content for message in view.get_conversation_messages("c1")] == [*map(str, range(n + 1))]
        with pytest.raises(ReadOnly, match="for reading only"):
            view.add_message("c1", "no")


EXACT = {"nul": "\0 \0", "half": "cut \ud83d", "\ud800\0": [10**100 + 7, -(10**99) - 1, 0.1, 5e-324], "big": 7**400}


def test_what_a_database_cannot_hold_as_text_comes_back_exactly(url: str):
    with MessageStore(url) as store:
        store.create_conversation("T\0\ud800", id="c\0 1", metadata=EXACT)
        store.add_message("c\0 1", "a\0b\udc00", role="r\0\ud800", metadata=EXACT)
        store.add_action("c\0 1", "k\0\ud800", EXACT, metadata=EXACT)
        store.conversations["c\0 1"].messages[0].metadata["more"] = "\0\udfff"
        store.add_message("c\0 1", "\0")
        before = store.conversations["c\0 1"].model_dump()
    for place in (url, url):
        with MessageStore(place) as store, Store(place) as other:
            assert store.conversations["c\0 1"].model_dump() == before == other["c\0 1"].model_dump()
            assert store.verify().is_sound and list(other) == ["c\0 1"]
            [found] = other.messages("c\0 1", role="r\0\ud800")
            assert (found.content, found.metadata) == ("a\0b\udc00", EXACT | {"more": "\0\udfff"})


def test_a_program_that_speaks_sql_reads_the_views(postgres: str):
    with MessageStore(postgres) as store:
        store.add_message("c1", "What shall we do?", role="user")
        store.add_message("c1", "Let us see.", role="assistant")
        schema = postgres.partition("schema=")[2]
        found = database_server().sql(f"SELECT role, content FROM {schema}.aral_messages ORDER BY place")
        assert found == "user|What shall we do?\nassistant|Let us see."


def test_a_program_that_speaks_sql_reads_the_views_from_another_process(sqlite: str):
    with MessageStore(sqlite) as store:
        store.add_message("c1", "What shall we do?", role="user")
        store.add_message("c1", "Let us see.", role="assistant")
        program = """
            import sqlite3, sys
            base = sqlite3.connect(sys.argv[1])
            print(*base.execute("SELECT role, content FROM aral_messages WHERE conversation_id = 'c1' ORDER BY place"))
        """
        done = run(program, sqlite.removeprefix("sqlite:"))
        assert done.stdout == "('user', 'What shall we do?') ('assistant', 'Let us see.')\n", done.stderr
        store.add_message("c1", "Good.")
    assert contents(sqlite)[-1] == "Good."


# Several processes that write at once.

WRITER = """
    import sys, time
    from aral_store import MessageStore, Store
    kind, place, name, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    store = Store(place) if kind == "Store" else MessageStore(place)
    print("open", flush=True)
    sys.stdin.readline()
    for n in range(count):
        message = store.add_message("c1", f"{name}{n}")
        print(message.id, flush=True)
        if kind == "MessageStore":
            live = store.get_conversation_messages("c1")
            assert message in live, "what was added shows"
            mine = [int(each.content[1:]) for each in live if each.content[0] == name]
            assert mine == list(range(n + 1)), mine
    store.close()
"""


def test_processes_write_one_database_at_the_same_time(url: str):
    kinds = ["MessageStore", "Store", "MessageStore"]
    writers = [started(WRITER, kind, url, name, 40) for kind, name in zip(kinds, "abc")]
    for writer in writers:
        assert writer.stdout is not None and writer.stdout.readline() == "open\n"
    printed = {}
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for name, writer in zip("abc", writers):
        printed[name] = writer.communicate(timeout=300)[0].split()
        assert writer.returncode == 0
    with Store(url) as store:
        found = store.messages("c1")
        assert len(found) == 120 and store.verify().is_sound
        assert [event["seq"] for event in store.events()] == list(range(1, 121))
        for name in "abc":
            mine = [message for message in found if message.content[0] == name]
            assert [message.content for message in mine] == [f"{name}{n}" for n in range(40)]
            assert [message.id for message in mine] == printed[name]


def overtaken(store: MessageStore, monkeypatch: pytest.MonkeyPatch, other: Callable[[], object]) -> None:
    """Has something happen to the database between what the next addition looks at and what it appends."""
    below = store._store
    append = below._append

    def late(line: str, *looked_at: Any) -> Any:
        monkeypatch.undo()
        other()
        receipts = append(line)
        return (receipts[0].seq, receipts[0].id, receipts[0].version) if looked_at else receipts

    monkeypatch.setattr(below, "_append", late)
    monkeypatch.setattr(below, "_append_known", late)


def test_an_addition_that_is_overtaken_shows_both_in_their_order(url: str, monkeypatch: pytest.MonkeyPatch):
    with MessageStore(url) as one, MessageStore(url) as two:
        first = one.add_message("c1", "first")
        live = one.get_conversation_messages("c1")
        overtaken(one, monkeypatch, lambda: two.add_message("c1", "overtakes"))
        mine = one.add_message("c1", "mine")
        assert [message.content for message in live] == ["first", "overtakes", "mine"]
        assert live[0] is first and live[2] is mine
        mine.metadata["edited"] = True
        one.add_message("c1", "last")
        assert two.get_conversation_messages("c1")[2].metadata == {"edited": True}


def test_of_two_that_use_one_key_at_once_both_get_the_same_message(url: str, monkeypatch: pytest.MonkeyPatch):
    with MessageStore(url) as one, MessageStore(url) as two:
        one.add_message("c1", "before")
        made = []
        overtaken(one, monkeypatch, lambda: made.append(two.add_message("c1", "once", key="k")))
        assert one.add_message("c1", "once", key="k").id == made[0].id
        assert [message.content for message in one.get_conversation_messages("c1")] == ["before", "once"]


def test_what_another_process_has_added_is_not_dropped_by_a_new_order(url: str, monkeypatch: pytest.MonkeyPatch):
    with MessageStore(url) as one, MessageStore(url) as two:
        for n in range(3):
            one.add_message("c1", str(n))
        one.get_conversation_messages("c1").reverse()
        two.add_message("c1", "unseen")
        with pytest.raises(Conflict):
            one._save_to_backend()
    assert contents(url) == ["0", "1", "2", "unseen"]


def test_writers_that_are_killed_lose_nothing_they_were_told_of_and_stop_nobody(url: str):
    moments = random.Random(int(os.environ.get("KILLS_SEED", "1")))
    told: list[str] = []
    for round in range(int(os.environ.get("KILLS", "12")) // 4):
        writers = [started(WRITER, kind, url, name, 10**9) for kind, name in (("Store", "s"), ("Store", "t"))]
        for writer in writers:
            assert writer.stdin is not None and writer.stdout is not None
            assert writer.stdout.readline() == "open\n"
            writer.stdin.write("go\n")
            writer.stdin.flush()
        with MessageStore(url) as beside:
            time.sleep(moments.uniform(0.0, 0.4))
            for writer in writers:
                writer.kill()
                assert writer.stdin is not None
                writer.stdin.close()
                writer.stdin = None
            told.append(beside.add_message("c1", f"m{round}").id)
        for writer in writers:
            printed = writer.communicate(timeout=60)[0]
            assert writer.returncode == -signal.SIGKILL
            # The last line may have been cut short by the kill.
            told += printed[: printed.rfind("\n") + 1].split()
        with Store(url) as store:
            assert store.verify().is_sound
            found = [message.id for message in store.messages("c1")]
        assert len(set(found)) == len(found) and set(told) <= set(found)
        assert len(found) <= len(told) + 2 * (round + 1), "and nothing besides what was under way at a kill"


# A process that is forked off.


def test_a_forked_process_is_refused_a_database_that_its_parent_has_open(tmp_path: Path, sqlite: str):
    os.symlink(tmp_path / "data.db", tmp_path / "link.db")
    program = """
        url, dir = sys.argv[1:]
        os.chdir(dir)
        store, aral = Store(url, sync="os"), MessageStore(url)
        later = AsyncStore(store)
        store.add_message("c1", "before")
        follower = store.follow()
        assert next(follower)["seq"] == 1
        works = [
            lambda: store.add_message("c1", "from the child"),
            lambda: store.close(),
            lambda: list(follower),
            lambda: aral.add_message("c1", "from the child"),
            lambda: aral.close(),
            lambda: asyncio.run(later.add_message("c1", "from the child")),
        ]
        # SQLite would take the parent's locks for the child's own.
        names = [url, "sqlite:data.db", "sqlite:link.db", "sqlite://" + dir + "/./data.db"]
        openings = [lambda name=name: Store(name) for name in names] + [
            lambda: MessageStore(url), lambda: Store(url, read_only=True), lambda: verify(url),
        ]
        assert in_child(*map(refused, works + openings)) == 0

        def says_what_helps():
            try:
                Store(url)
            except Forked as error:
                assert "had the database open" in str(error) and "spawn" in str(error)
        assert in_child(says_what_helps) == 0

        def let_go():
            global store, aral, later, follower, works
            del store, aral, later, follower
            works.clear()
            gc.collect()
            for opening in openings:
                refused(opening)()
            with Store("sqlite:another.db") as another:
                another.add_message("c1", "the child's own")
        assert in_child(let_go) == 0
        assert in_child(refused(lambda: sys.exit(0), SystemExit)) == 0
        store.add_message("c1", "after")
        aral.add_message("c1", "still")
        assert store.verify().is_sound
        store.close(); aral.close()
        # A follower has connections of its own.
        assert in_child(*map(refused, openings)) == 0
        del follower, works
        gc.collect()

        def take_over():
            with Store(url) as mine:
                mine.add_message("c1", "the child's own")
        assert in_child(take_over) == 0
        with Store(url) as store:
            assert [m.content for m in store.messages("c1")] == ["before", "after", "still", "the child's own"]
            assert store.verify().is_sound
    """
    forking(program, sqlite, tmp_path)


def test_a_fork_amid_threads_that_write_neither_hangs_nor_harms(sqlite: str):
    program = """
        url = sys.argv[1]
        held = [Store(url), MessageStore(url)]
        told, stop = [], threading.Event()

        def write(add):
            while not stop.is_set():
                add()
                told.append(1)

        threads = [
            threading.Thread(target=write, args=[lambda: held[0].add_message("c1", "x" * 1000)]),
            threading.Thread(target=write, args=[lambda: held[1].add_message("c2", "y" * 1000)]),
        ]
        for thread in threads:
            thread.start()
        for _ in range(20):
            works = [lambda: held[0].add_message("c1", "z"), lambda: held[1].add_message("c2", "z"), lambda: Store(url)]
            assert in_child(*map(refused, works), held.clear, gc.collect) == 0
        stop.set()
        for thread in threads:
            thread.join()
        store, aral = held
        assert store.verify().is_sound and len(told) > 0
        assert sum(store.summary(id).messages for id in store) == len(told)
        aral.close(); store.close()
        with Store(url) as again:
            assert "z" not in {m.content for id in again for m in again.messages(id)}
    """
    forking(program, sqlite)


def test_a_forked_process_has_connections_of_its_own_to_a_server(postgres: str):
    program = """
        url = sys.argv[1]
        store, aral = Store(url, sync="os"), MessageStore(url)
        later = AsyncStore(store)
        store.add_message("c1", "before")
        follower = store.follow(wait=False)
        assert next(follower)["seq"] == 1
        works = [
            lambda: store.add_message("c1", "on the parent's connection"),
            lambda: store.messages("c1"),
            lambda: store.close(),
            lambda: list(follower),
            lambda: aral.add_message("c1", "on the parent's connection"),
            lambda: aral.get_conversation("c1"),
            lambda: aral.close(),
            lambda: asyncio.run(later.add_message("c1", "on the parent's connection")),
        ]

        def writes():
            with Store(url) as mine, MessageStore(url) as live:
                mine.add_message("c1", "the child's own")
                live.add_message("c1", "and its live one")
                assert mine.verify().is_sound

        def lets_go():
            global store, aral, later, follower, works
            del store, aral, later, follower
            works.clear()
            gc.collect()
            writes()
        assert in_child(*map(refused, works), writes) == 0
        assert in_child(lets_go) == 0
        pid = os.fork()
        if pid == 0:
            writes()
            sys.exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        store.add_message("c1", "after")
        aral.add_message("c1", "still")
        told = [message.content for message in store.messages("c1")]
        assert told == ["before", *["the child's own", "and its live one"] * 3, "after", "still"]
        assert told == [message.content for message in aral.get_conversation_messages("c1")]
        store.close(); aral.close()
        assert [event["seq"] for event in Store(url).events()] == list(range(1, 10))
    """
    forking(program, postgres)


def test_forks_amid_threads_that_write_to_a_server_neither_hang_nor_harm(postgres: str):
    program = """
        import multiprocessing
        url = sys.argv[1]
        held = [Store(url), MessageStore(url)]
        told, stop = [], threading.Event()

        def write(add):
            while not stop.is_set():
                add()
                told.append(1)

        def writes(n):
            with Store(url) as mine:
                return mine.add_message("c3", str(n)).seq

        threads = [
            threading.Thread(target=write, args=[lambda: held[0].add_message("c1", "x" * 1000)]),
            threading.Thread(target=write, args=[lambda: held[1].add_message("c2", "y" * 1000)]),
        ]
        for thread in threads:
            thread.start()
        for n in range(10):
            works = [lambda: held[0].add_message("c1", "z"), lambda: held[1].add_message("c2", "z")]
            assert in_child(*map(refused, works), held.clear, gc.collect, lambda: writes(n)) == 0
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert len(set(pool.map(writes, range(10, 20)))) == 10
        stop.set()
        for thread in threads:
            thread.join()
        store, aral = held
        assert store.verify().is_sound and len(told) > 0
        assert sorted(int(message.content) for message in store.messages("c3")) == list(range(20))
        assert sum(store.summary(id).messages for id in ("c1", "c2")) == len(told)
        aral.close(); store.close()
        assert [event["seq"] for event in Store(url).events()] == list(range(1, len(told) + 21))
    """
    forking(program, postgres)


def test_the_sessions_and_histories_of_two_processes_share_a_database(url: str):
    pytest.importorskip("agents")
    pytest.importorskip("langchain_core")
    program = textwrap.dedent("""
        import asyncio, sys
        from aral_store import AsyncStore, Store
        from aral_store.langchain import AralChatMessageHistory
        from aral_store.openai_agents import AralSession
        from langchain_core.messages import HumanMessage
        url, name = sys.argv[1:]

        async def main():
            async with await AsyncStore.open(url) as store:
                session = AralSession("s1", store)
                history = AralChatMessageHistory("h1", store)
                for n in range(10):
                    await session.add_items([{"role": "user", "content": f"{name}{n}/{m}"} for m in range(3)])
                    await history.aadd_messages([HumanMessage(f"{name}{n}/{m}") for m in range(3)])
        asyncio.run(main())
    """)
    line = [sys.executable, "-c", program, url]
    assert [each.wait(300) for each in [subprocess.Popen([*line, name]) for name in "ab"]] == [0, 0]
    for id in ("s1", "h1"):
        found = contents(url, id)
        assert len(found) == 60
        groups = [found[at : at + 3] for at in range(0, 60, 3)]
        assert all(group == [f"{group[0][:-2]}/{m}" for m in range(3)] for group in groups), "each addition is whole"
        for name in "ab":
            assert [group[0] for group in groups if group[0][0] == name] == [f"{name}{n}/0" for n in range(10)]
