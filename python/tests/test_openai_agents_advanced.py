"""Branches and usage by turn for the OpenAI Agents SDK, side by side with the SDK's own session."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("agents", reason="the extra openai-agents is not installed")

from agents import Usage  # noqa: E402
from agents.extensions.memory.advanced_sqlite_session import AdvancedSQLiteSession  # noqa: E402
from openai.types.responses.response_usage import OutputTokensDetails  # noqa: E402

from aral_store import AsyncStore, Closed, InvalidInput, Store  # noqa: E402
from aral_store.openai_agents_advanced import AralAdvancedSession  # noqa: E402
from conftest import Place, place_in  # noqa: E402


@pytest.fixture(params=["file", "sqlite", "postgres"])
def session(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AralAdvancedSession]:
    with Store(place_in(request.param, tmp_path), sync="os") as store:
        yield AralAdvancedSession("s1", store)


def user(text: Any) -> Any:
    return {"role": "user", "content": text}


def call(name: str, **more: Any) -> Any:
    return {"type": "function_call", "call_id": "c", "name": name, "arguments": "{}", **more}


def result(n: int) -> Any:
    details = OutputTokensDetails(reasoning_tokens=n)
    usage = Usage(requests=1, input_tokens=n, output_tokens=2 * n, total_tokens=3 * n, output_tokens_details=details)
    return SimpleNamespace(context_wrapper=SimpleNamespace(usage=usage))


TURNS: list[Any] = [
    [{"role": "system", "content": "Be kind."}],
    [user("Dinner at eight?"), call("book"), call("book"), {"type": "function_call_output", "call_id": "c", "output": "ok"}],
    [user([{"type": "input_text", "text": "50% off, a_b \\ \"é\""}]), {"role": "assistant", "content": "Done."}],
    [user("And " + "wine " * 40), call("look", namespace="shop"), call("shop", namespace="shop"), {"type": "web_search_call", "id": "w"}],
    [
        {"type": "mcp_call", "id": "m", "server_label": "files", "name": "read", "arguments": "{}"},
        {"type": "tool_search_output", "id": "t", "name": "x"},
        {"type": "shell_call", "id": "s", "call_id": "c"},
    ],
]


async def told(session: Any) -> list[Any]:
    """All that two sessions must agree in, for each branch."""
    names = ("branch_id", "message_count", "user_turns", "is_current")
    listed = sorted([each[name] for name in names] for each in await session.list_branches())
    seen: list[Any] = [listed, await session.get_items(), await session.get_session_usage()]
    for branch in [each[0] for each in listed]:
        turns = await session.get_conversation_turns(branch)
        seen.append([{name: each[name] for name in each if name != "timestamp"} for each in turns])
        for term in ("dinner", "50%", "a_b", "\\", '"é"', "É", "a.b", "nothing"):
            found = await session.find_turns_by_content(term, branch)
            seen.append([(each["turn"], each["content"], each["full_content"]) for each in found])
        seen += [await session.get_items(branch_id=branch), await session.get_items(2, branch)]
        seen += [await session.get_conversation_by_turns(branch), sorted(await session.get_tool_usage(branch))]
        seen += [await session.get_turn_usage(branch_id=branch), await session.get_turn_usage(1, branch)]
        seen += [await session.get_session_usage(branch)]
    return seen


async def story(session: Any) -> list[Any]:
    seen = [await told(session)]
    for n, items in enumerate(TURNS, 1):
        await session.add_items(items)
        await session.store_run_usage(result(n))
    await session.store_run_usage(result(7))
    seen.append(await told(session))
    await session.create_branch_from_turn(3, "second")
    await session.add_items([user("Or tea?"), call("brew")])
    await session.store_run_usage(result(20))
    seen.append(await told(session))
    await session.create_branch_from_content("tea", "third")
    await session.add_items([user("Or coffee?")])
    await session.switch_to_branch("second")
    seen += [await session.pop_item(), await session.pop_item(), await told(session)]
    await session.add_items([user("Or milk?")])
    seen.append(await told(session))
    await session.delete_branch("second", force=True)
    seen.append(await told(session))
    for wrong in (
        session.create_branch_from_turn(9),
        session.create_branch_from_turn(1, "second"),
        session.create_branch_from_turn(1, " "),
        session.create_branch_from_content("nothing of it"),
        session.switch_to_branch("second"),
        session.delete_branch("main"),
        session.delete_branch("nobody"),
    ):
        with pytest.raises(ValueError):
            await wrong
    await session.switch_to_branch("third")
    with pytest.raises(ValueError):
        await session.delete_branch("third")
    await session.clear_session()
    await session.add_items([user("Anew.")])
    seen.append(await told(session))
    with pytest.raises(ValueError):
        await session.create_branch_from_turn(1, "third")
    return seen


def test_it_does_the_same_as_the_sdks_own(place: Place):
    async def main() -> None:
        own = AdvancedSQLiteSession(session_id="s1", create_tables=True)
        async with await AsyncStore.open(place, sync="os") as store:
            mine, theirs = await story(AralAdvancedSession("s1", store)), await story(own)
            for at, (given, wanted) in enumerate(zip(mine, theirs, strict=True)):
                assert given == wanted, at
        own.close()

    asyncio.run(main())


def test_branches_are_there_for_whoever_opens_the_store_next(tmp_path: Path):
    async def first(session: AralAdvancedSession) -> None:
        await session.add_items([user("one"), user("two")])
        await session.create_branch_from_turn(2, "other")
        await session.add_items([user("three")])
        await session.store_run_usage(result(1))

    async def then(session: AralAdvancedSession) -> None:
        assert session.current_branch == "main" and await session.get_items() == [user("one"), user("two")]
        await session.switch_to_branch("other")
        assert await session.get_items() == [user("one"), user("three")]
        assert (await session.get_turn_usage(2))["total_tokens"] == 3  # type: ignore[call-overload]

    for work in (first, then):
        with Store(tmp_path / "data") as store:
            asyncio.run(work(AralAdvancedSession("s1", store)))


def test_an_empty_branch_is_one(session: AralAdvancedSession):
    async def main() -> None:
        await session.add_items([user("one")])
        await session.create_branch_from_turn(1, "other")
        assert [each["branch_id"] for each in await session.list_branches()] == ["main", "other"]
        await session.switch_to_branch("main")
        await session.switch_to_branch("other")
        assert await session.get_items() == [] and await session.pop_item() is None
        await session.delete_branch("other", force=True)
        assert session.current_branch == "main" and await session.get_items() == [user("one")]

    asyncio.run(main())


def test_who_is_on_a_branch_that_others_took_away_is_on_main(session: AralAdvancedSession):
    other = AralAdvancedSession("s1", session._store)

    async def main() -> None:
        await session.add_items([user("one")])
        for clear in (True, False):
            name = await session.create_branch_from_turn(1)
            if clear:
                await other.clear_session()
            else:
                await other.delete_branch(name)
            await session.store_run_usage(result(1))
            await session.add_items([user("two")])
            assert await other.get_items() == await session.get_items()
            assert [each["is_current"] for each in await session.list_branches()] == [True]
            assert await session.get_session_usage() is None

    asyncio.run(main())


def test_an_addition_does_not_bring_back_a_branch_that_was_taken_away_meanwhile(
    session: AralAdvancedSession, monkeypatch: pytest.MonkeyPatch
):
    asyncio.run(session.add_items([user("one")]))
    asyncio.run(session.create_branch_from_turn(1, "other"))
    asyncio.run(session.add_items([user("two")]))
    append = Store._append

    def interrupted(self: Store, line: str) -> Any:
        monkeypatch.setattr(Store, "_append", append)
        asyncio.run(AralAdvancedSession("s1", self).delete_branch("other"))
        return append(self, line)

    monkeypatch.setattr(Store, "_append", interrupted)
    asyncio.run(session.add_items([user("three"), user("four")]))
    assert [each["branch_id"] for each in asyncio.run(session.list_branches())] == ["main"]
    assert asyncio.run(session.get_items()) == [user("one"), user("three"), user("four")]


def test_the_usage_of_a_turn_that_was_popped_is_none_of_the_next_ones(session: AralAdvancedSession):
    async def main() -> None:
        await session.add_items([user("one"), user("two")])
        await session.store_run_usage(result(1))
        await session.pop_item()
        await session.add_items([user("three")])
        assert await session.get_turn_usage(2) == {} and await session.get_session_usage() is None
        await session.store_run_usage(result(5))
        assert (await session.get_turn_usage(2))["input_tokens"] == 5  # type: ignore[call-overload]

    asyncio.run(main())


def test_two_that_take_one_name_at_once_do_not_share_a_branch(session: AralAdvancedSession):
    asyncio.run(session.add_items([user("one")]))
    outcomes: list[Any] = []

    def work(n: int) -> None:
        mine = AralAdvancedSession("s1", session._store)
        for name in ("a", "b", None):
            try:
                outcomes.append(asyncio.run(mine.create_branch_from_turn(1, name)))
                asyncio.run(mine.add_items([user(str(n))]))
                asyncio.run(mine.switch_to_branch("main"))
            except InvalidInput:
                outcomes.append(None)

    workers = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    made = [name for name in outcomes if name is not None]
    assert len(outcomes) == 12 and len(made) == 6 and len(set(made)) == 6
    counts = {each["branch_id"]: each["message_count"] for each in asyncio.run(session.list_branches())}
    assert counts == dict.fromkeys(["main", *made], 1)


def test_a_retry_with_the_key_adds_nothing_on_a_branch_too(session: AralAdvancedSession):
    async def main() -> None:
        await session.add_items([user("one")])
        await session.create_branch_from_turn(1, "other")
        for _ in range(2):
            await session.add_items([user("two"), user("three")], key="request-7")
        assert await session.get_items() == [user("two"), user("three")]
        session.close()
        for call in (session.get_items, lambda: session.add_items([]), session.list_branches, session.clear_session):
            with pytest.raises(Closed):
                await call()

    asyncio.run(main())


@pytest.mark.parametrize("which", range(4))
def test_a_call_that_raises_cancelled_error_has_settled(which: int, tmp_path: Path):
    async def main() -> None:
        outcomes = set()
        async with await AsyncStore.open(place_in("file", tmp_path), sync="os") as store:
            for moment in range(200):
                session = AralAdvancedSession(f"s{moment}", store)
                await session.add_items([user("one"), user("two")])
                await session.create_branch_from_turn(2, "other")
                before = [await session.list_branches(), await session.get_items(), await session.get_session_usage()]
                calls = [
                    lambda: session.add_items([user("x")] * (1 if moment % 2 else 300)),
                    lambda: session.create_branch_from_turn(1, "third"),
                    lambda: session.clear_session(),
                    lambda: session.store_run_usage(result(1)),
                ]
                task = asyncio.ensure_future(calls[which]())
                for _ in range(moment % 4):
                    await asyncio.sleep(0)
                if moment > 20:
                    await asyncio.sleep(0.00001 * moment)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                now = [await session.list_branches(), await session.get_items(), await session.get_session_usage()]
                outcomes.add(now == before)
                if which == 1:
                    names = [each["branch_id"] for each in now[0]]
                    assert session.current_branch == ("third" if "third" in names else "other")
                await store.add_message("other", "x")
                assert now == [await session.list_branches(), await session.get_items(), await session.get_session_usage()]
        assert outcomes == {True, False}

    asyncio.run(main())
