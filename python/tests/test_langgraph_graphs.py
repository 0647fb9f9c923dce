"""Graphs of LangGraph on the checkpointer: interrupts, time travel, branches, subgraphs, and another process in between."""

from __future__ import annotations

import asyncio
import operator
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest

pytest.importorskip("langgraph.graph", reason="the extra langgraph is not installed")

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage  # noqa: E402
from langgraph.channels import DeltaChannel  # noqa: E402
from langgraph.checkpoint.memory import InMemorySaver  # noqa: E402
from langgraph.graph import END, START, StateGraph, add_messages  # noqa: E402
from langgraph.runtime import Runtime  # noqa: E402
from langgraph.types import Command, Send, interrupt  # noqa: E402

from aral_store import AsyncStore, Store  # noqa: E402
from aral_store.langgraph import AralBaseStore, AralSaver  # noqa: E402
from conftest import Place, place_in  # noqa: E402

#: Where a graph is tried that any store will do for.
few = pytest.mark.parametrize("kind", ["file", "sqlite"])

THREAD: Any = {"configurable": {"thread_id": "t1"}}


class State(TypedDict):
    messages: Annotated[list[Any], add_messages]
    log: Annotated[list[str], operator.add]
    approved: bool


def agent(state: State) -> dict[str, Any]:
    return {
        "messages": [AIMessage(f"answer {len(state['messages'])}", id=f"a{len(state['messages'])}")],
        "log": ["agent"],
    }


def ask(state: State) -> dict[str, Any]:
    return {"approved": interrupt({"question": "May I?"}), "log": ["ask"]}


def work(state: dict[str, Any]) -> dict[str, Any]:
    return {"log": [f"work {state['n']}"]}


def end(state: State) -> dict[str, Any]:
    return {"log": ["end"]}


def each(state: State) -> Any:
    return [Send("work", {"n": n}) for n in range(3)] if state["approved"] else END


def graph(saver: Any, store: Any = None) -> Any:
    builder = StateGraph(State)
    for node in (agent, ask, end):
        builder.add_node(node)
    builder.add_node("work", work)  # type: ignore[arg-type]
    builder.add_edge(START, "agent")
    builder.add_edge("agent", "ask")
    builder.add_conditional_edges("ask", each, ["work", END])
    builder.add_edge("work", "end")
    return builder.compile(checkpointer=saver, store=store)


def plain(snapshot: Any) -> Any:
    """What two runs must agree in: all but ids and times."""
    tasks = [(task.name, task.path, task.error, [each.value for each in task.interrupts], task.result) for task in snapshot.tasks]
    return snapshot.values, snapshot.next, tasks, {name: snapshot.metadata.get(name) for name in ("source", "step")}


def story(saver: Any) -> list[Any]:
    """A conversation with interrupts, another answer tried from before one of them, and a state that was written by hand."""
    compiled = graph(saver)
    seen: list[Any] = [compiled.invoke({"messages": [HumanMessage("Hello!", id="h1")]}, THREAD)["log"]]
    seen.append(plain(compiled.get_state(THREAD)))
    seen.append(compiled.invoke(Command(resume=True), THREAD)["log"])
    history = list(compiled.get_state_history(THREAD))
    seen.append([plain(each) for each in history])
    asked = next(each for each in history if each.next == ("ask",))
    # Time travel: the same question, answered otherwise, and then asked anew.
    seen.append(compiled.invoke(Command(resume=False), asked.config)["log"])
    seen.append(compiled.invoke(None, asked.config).get("log"))
    fork = compiled.update_state(asked.config, {"messages": [HumanMessage("Wait.", id="h2")]}, as_node="agent")
    seen.append(plain(compiled.get_state(fork)))
    compiled.invoke(None, fork)
    seen.append(compiled.invoke(Command(resume=True), THREAD)["log"])
    compiled.update_state(THREAD, None, as_node="__copy__")
    seen.append([plain(each) for each in compiled.get_state_history(THREAD)])
    seen.append([plain(each) for each in compiled.get_state_history(THREAD, filter={"source": "fork"})])
    seen.append([plain(each) for each in compiled.get_state_history(THREAD, before=asked.config, limit=2)])
    return seen


def test_a_graph_does_the_same_as_on_langgraphs_own_saver(place: Place):
    with Store(place, sync="os") as store:
        mine = story(AralSaver(store))
        assert mine == story(InMemorySaver())
    with Store(place) as store:
        history = [plain(each) for each in graph(AralSaver(store)).get_state_history(THREAD)]
        assert history == mine[-3] and len(history) > 8


@few
@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
def test_it_does_so_in_an_event_loop_and_however_often_it_saves(kind: str, tmp_path: Path, durability: Any):
    place = place_in(kind, tmp_path)
    async def run(saver: Any) -> list[Any]:
        compiled = graph(saver)
        seen: list[Any] = []
        for given in ({"messages": [HumanMessage("Hello!", id="h1")]}, Command(resume=True)):
            seen.append((await compiled.ainvoke(given, THREAD, durability=durability))["log"])
        seen.append([plain(each) async for each in compiled.aget_state_history(THREAD)])
        return seen

    async def main() -> None:
        async with await AsyncStore.open(place, sync="os") as store:
            assert await run(AralSaver(store)) == await run(InMemorySaver())

    asyncio.run(main())


@few
def test_a_graph_goes_on_in_another_process(kind: str, tmp_path: Path):
    place = place_in(kind, tmp_path)
    with Store(place) as store:
        compiled = graph(AralSaver(store))
        compiled.invoke({"messages": [HumanMessage("Hello!", id="h1")]}, THREAD)
        assert compiled.get_state(THREAD).next == ("ask",)
    program = textwrap.dedent(
        """
        import sys
        sys.path.insert(0, sys.argv[2])
        from langgraph.types import Command
        from test_langgraph_graphs import THREAD, graph
        from aral_store.langgraph import AralSaver
        with AralSaver(sys.argv[1]) as saver:
            print(graph(saver).invoke(Command(resume=True), THREAD)["log"])
        """
    )
    arguments = [sys.executable, "-c", program, str(place), str(Path(__file__).parent)]
    done = subprocess.run(arguments, capture_output=True, text=True)
    log = ["agent", "ask", "work 0", "work 1", "work 2", "end"]
    assert (done.returncode, done.stdout.strip()) == (0, str(log)), done.stderr
    with Store(place) as store:
        state = graph(AralSaver(store)).get_state(THREAD)
        assert (state.values["log"], state.next, state.values["approved"]) == (log, (), True)


class Small(TypedDict):
    log: Annotated[list[str], operator.add]


@few
def test_branches_of_one_step_resume_where_one_of_them_failed(kind: str, tmp_path: Path):
    place = place_in(kind, tmp_path)
    tries: list[str] = []

    def good(state: Small) -> dict[str, Any]:
        tries.append("good")
        return {"log": ["good"]}

    def bad(state: Small) -> dict[str, Any]:
        tries.append("bad")
        if tries.count("bad") == 1:
            raise RuntimeError("not now")
        return {"log": ["bad"]}

    builder = StateGraph(Small)
    for node in (good, bad):
        builder.add_node(node)
        builder.add_edge(START, node.__name__)
    with Store(place, sync="os") as store:
        compiled = builder.compile(checkpointer=AralSaver(store))
        with pytest.raises(RuntimeError):
            compiled.invoke({"log": []}, THREAD)
        [failed] = [task for task in compiled.get_state(THREAD).tasks if task.error]
        assert failed.name == "bad" and "not now" in str(failed.error)
    with Store(place, sync="os") as store:
        compiled = builder.compile(checkpointer=AralSaver(store))
        assert sorted(compiled.invoke(None, THREAD)["log"]) == ["bad", "good"]
    # What was done already is not done again.
    assert tries.count("good") == 1


@few
def test_subgraphs_have_namespaces_of_their_own(kind: str, tmp_path: Path):
    place = place_in(kind, tmp_path)
    def inner(state: Small) -> dict[str, Any]:
        return {"log": [f"inner {interrupt('which?')}"]}

    def build(saver: Any) -> Any:
        sub = StateGraph(Small)
        sub.add_node(inner)
        sub.add_edge(START, "inner")
        builder = StateGraph(Small)
        builder.add_node("sub", sub.compile())
        builder.add_edge(START, "sub")
        return builder.compile(checkpointer=saver)

    def run(saver: Any) -> list[Any]:
        compiled = build(saver)
        compiled.invoke({"log": ["begin"]}, THREAD)
        state = compiled.get_state(THREAD, subgraphs=True)
        [task] = state.tasks
        seen: list[Any] = [task.state.next, [plain(each) for each in compiled.get_state_history(task.state.config)]]
        seen.append(compiled.invoke(Command(resume="one"), THREAD)["log"])
        return seen

    with Store(place, sync="os") as store:
        assert run(AralSaver(store)) == run(InMemorySaver())
        everything: Any = {"configurable": {"thread_id": "t1"}}
        spaces = {found.config["configurable"]["checkpoint_ns"] for found in AralSaver(store).list(everything)}
        assert len(spaces) == 2 and "" in spaces


def collected(values: list[str], writes: list[list[str]]) -> list[str]:
    return [*values, *(each for write in writes for each in write)]


class Delta(TypedDict):
    log: Annotated[list[str], DeltaChannel(collected, snapshot_frequency=5)]


def delta_graph(saver: Any) -> Any:
    def step(state: Delta) -> dict[str, Any]:
        return {"log": [f"step {len(state['log'])}"]}

    def side(state: Delta) -> dict[str, Any]:
        return {"log": ["side"]}

    builder = StateGraph(Delta)
    for node in (step, side):
        builder.add_node(node)
        builder.add_edge(START, node.__name__)
    return builder.compile(checkpointer=saver)


@few
@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
def test_delta_channels_are_made_of_their_writes_and_survive_pruning(kind: str, tmp_path: Path, durability: Any):
    place = place_in(kind, tmp_path)
    def run(saver: Any) -> list[Any]:
        compiled = delta_graph(saver)
        for n in range(9):
            compiled.invoke({"log": [f"input {n}"]}, THREAD, durability=durability)
        history = list(compiled.get_state_history(THREAD))
        fork = compiled.update_state(history[len(history) // 2].config, {"log": ["by hand"]}, as_node="step")
        return [*map(plain, history), plain(compiled.get_state(fork)), compiled.invoke({"log": ["more"]}, THREAD)]

    with Store(place, sync="os") as store:
        assert run(AralSaver(store)) == run(InMemorySaver())
    with Store(place, sync="os") as store:
        saver = AralSaver(store)
        before = delta_graph(saver).get_state(THREAD).values
        count = len(list(saver.list(THREAD)))
        saver.prune(["t1"])
        assert delta_graph(saver).get_state(THREAD).values == before
        assert len(list(saver.list(THREAD))) <= count
        saver.copy_thread("t1", "t2")
        other: Any = {"configurable": {"thread_id": "t2"}}
        assert delta_graph(saver).get_state(other).values == before
        assert delta_graph(saver).invoke({"log": ["x"]}, other)["log"][: len(before["log"])] == before["log"]


@few
def test_what_an_agent_remembers_is_there_in_every_thread(kind: str, tmp_path: Path):
    place = place_in(kind, tmp_path)
    def remember(state: Small, runtime: Runtime[Any]) -> dict[str, Any]:
        assert runtime.store is not None
        known = runtime.store.search(("users", "u7"))
        runtime.store.put(("users", "u7"), f"m{len(known)}", {"n": len(known)})
        return {"log": [item.key for item in known]}

    async def aremember(state: Small, runtime: Runtime[Any]) -> dict[str, Any]:
        assert runtime.store is not None
        known = await runtime.store.asearch(("users", "u7"))
        await runtime.store.aput(("users", "u7"), f"m{len(known)}", {"n": len(known)})
        return {"log": [item.key for item in known]}

    def build(node: Any, store: Store) -> Any:
        builder = StateGraph(Small)
        builder.add_node("remember", node)
        builder.add_edge(START, "remember")
        return builder.compile(checkpointer=AralSaver(store), store=AralBaseStore(store))

    with Store(place, sync="os") as store:
        for n in range(2):
            log = build(remember, store).invoke({"log": []}, {"configurable": {"thread_id": f"t{n}"}})["log"]
            assert log == [f"m{m}" for m in range(n)]
    with Store(place, sync="os") as store:
        found = asyncio.run(build(aremember, store).ainvoke({"log": []}, {"configurable": {"thread_id": "t2"}}))
        assert found["log"] == ["m0", "m1"]


@few
def test_messages_of_every_kind_come_back_as_they_were(kind: str, tmp_path: Path):
    place = place_in(kind, tmp_path)
    given = [
        HumanMessage([{"type": "text", "text": "Look \ud83d\0"}, {"type": "image_url", "image_url": {"url": "x" * 5000}}], id="1"),
        AIMessage("", tool_calls=[{"name": "f", "args": {"a": [1, None]}, "id": "c1", "type": "tool_call"}], id="2"),
        ToolMessage("done", tool_call_id="c1", artifact={"rows": [(1, 2)]}, id="3"),
    ]

    def read(saver: Any) -> list[Any]:
        compiled = graph(saver)
        compiled.update_state(THREAD, {"messages": given}, as_node="agent")
        return list(compiled.get_state(THREAD).values["messages"])

    with Store(place, sync="os") as store:
        assert read(AralSaver(store)) == read(InMemorySaver())


def test_the_typed_example_runs_and_the_package_alone_imports_nothing_of_langgraph():
    example = Path(__file__).parent / "example_langgraph.py"
    done = subprocess.run([sys.executable, "-W", "error", str(example)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "[('users', 'u7')]\n['tea']\n"), done.stderr
    program = "import sys, aral_store; aral_store.Store(); assert not any('langgraph' in name for name in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
    program = "import sys; sys.modules['langgraph'] = None; import aral_store.langgraph"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "pip install 'aral-store[langgraph]'" in done.stderr
