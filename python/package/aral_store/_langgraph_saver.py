"""LangGraph's checkpoints and writes, made of what :mod:`_langgraph_threads` keeps."""

from __future__ import annotations

import functools
import secrets
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from os import PathLike
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
    PendingWrite,
    get_checkpoint_id,
    get_checkpoint_metadata,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

from ._async_store import AsyncStore, settled
from ._errors import InvalidInput
from ._key import Key as StoreKey
from ._key import KeyFile
from ._langgraph_threads import Key, NewCheckpoint, Threads, Typed, Write
from ._owner import Owner, OwningBoth
from ._store import Store

#: So many checkpoints are read in a thread at once.
_PAGE = 16

#: Where the metadata of a checkpoint name the channels whose values are made from writes since an earlier one.
_DELTAS = "counters_since_delta_snapshot"


class AralSaver(OwningBoth, BaseCheckpointSaver[str]):
    """Keeps the checkpoints of LangGraph's graphs in a store.

    It takes an open :class:`Store` or :class:`AsyncStore`, which stays open, or the path or URL of one, which it opens, with the
    ``key`` or ``key_file`` of an encrypted one, and :meth:`close` closes. All methods may be called from any thread and, if the store is in a database, by any number of
    processes. What a call has stored is as durable as the store's ``sync`` says. Storing the same again changes nothing.

    >>> from langgraph.graph import StateGraph
    >>> graph = StateGraph(int)
    >>> _ = graph.add_node("double", lambda number: number * 2)
    >>> _ = graph.set_entry_point("double")
    >>> saver = AralSaver(Store())
    >>> compiled = graph.compile(checkpointer=saver)
    >>> config = {"configurable": {"thread_id": "t1"}}
    >>> compiled.invoke(21, config)
    42
    >>> saver.get_tuple(config).metadata["step"]
    1

    An ``a…`` call that is cancelled raises ``CancelledError`` when it is settled: it was carried out, or never will be.
    """

    def __init__(
        self,
        store: Store | AsyncStore | str | PathLike[str],
        *,
        serde: SerializerProtocol | None = None,
        key: StoreKey | None = None,
        key_file: KeyFile | None = None,
    ) -> None:
        super().__init__(serde=serde)
        self._owner = Owner(store, key, key_file)
        self._threads = Threads(self._owner.store)

    def get_next_version(self, current: str | None, channel: None) -> str:
        """A version that comes after ``current``, and is no other branch's."""
        number = 0 if current is None else int(str(current).partition(".")[0])
        return f"{number + 1:020}.{secrets.token_hex(8)}"

    # Reading.

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The checkpoint that the config names, or the newest one of its thread and namespace."""
        thread_id, ns, id = _place(config)

        def read() -> CheckpointTuple | None:
            at = id or self._threads.latest(thread_id, ns)
            return None if at is None else self._tuple(config, thread_id, (ns, at))

        return self._threads.whole(thread_id, read)

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """The checkpoints of a thread, or of all, newest first. Each is read when its turn comes."""
        found = 0
        for thread_id, key in self._listed(config, before):
            if limit is not None and found >= limit:
                return
            if (each := self._matching(config, thread_id, key, filter)) is not None:
                found += 1
                yield each

    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """What the values of delta channels are made from: the nearest stored one, and all writes since."""
        thread_id, ns, id = _place(config)
        return self._threads.whole(thread_id, lambda: self._history(thread_id, ns, id, channels))

    def _history(self, thread_id: str, ns: str, id: str | None, channels: Sequence[str]) -> dict[str, DeltaChannelHistory]:
        writes: dict[str, list[PendingWrite]] = {channel: [] for channel in channels}
        seeds: dict[str, Any] = {}
        parents = self._threads.keys(thread_id) if channels else {}
        at = id or max((each for of, each in parents if of == ns), default="")
        passed = {at}
        while (parent := parents.get((ns, at))) is not None and parent not in passed and len(seeds) < len(writes):
            at = parent
            passed.add(at)
            found = self._threads.get(thread_id, (ns, at))
            if found is None:
                break
            fields, written = found
            for write in reversed(written):
                if write.channel in writes and write.channel not in seeds:
                    writes[write.channel].append(self._write(thread_id, write))
            for channel in writes.keys() & fields["values"].keys() - seeds.keys():
                seeds[channel] = self._loaded(thread_id, fields["values"][channel])
        history: dict[str, DeltaChannelHistory] = {}
        for channel in channels:
            history[channel] = {"writes": writes[channel][::-1]}
            if channel in seeds:
                history[channel]["seed"] = seeds[channel]
        return history

    def _listed(self, config: RunnableConfig | None, before: RunnableConfig | None) -> Iterable[tuple[str, Key]]:
        end = None if before is None else get_checkpoint_id(before)
        if config is None:
            threads, ns, id = self._threads.ids(), None, None
        else:
            thread_id, _, id = _place(config)
            threads, ns = [thread_id], config["configurable"].get("checkpoint_ns")
        found = [
            (thread_id, key)
            for thread_id in threads
            for key in self._threads.keys(thread_id)
            if (ns is None or key[0] == ns) and (not id or key[1] == id) and (end is None or key[1] < end)
        ]
        return sorted(found, key=lambda each: each[1][1], reverse=True)

    def _matching(
        self, config: RunnableConfig | None, thread_id: str, key: Key, filter: dict[str, Any] | None
    ) -> CheckpointTuple | None:
        def read() -> CheckpointTuple | None:
            found = self._threads.get(thread_id, key)
            if found is None:
                # It was removed since.
                return None
            metadata = self._loaded(thread_id, found[0]["metadata"])
            if not all(metadata.get(name) == value for name, value in (filter or {}).items()):
                return None
            return self._tuple(config, thread_id, key)

        return self._threads.whole(thread_id, read)

    def _tuple(self, config: RunnableConfig | None, thread_id: str, key: Key) -> CheckpointTuple | None:
        found = self._threads.get(thread_id, key)
        if found is None:
            return None
        fields, writes = found
        checkpoint = self._loaded(thread_id, fields["checkpoint"])
        checkpoint["channel_values"] = {
            channel: self._loaded(thread_id, value) for channel, value in fields["values"].items()
        }
        # The thread's id as the caller has it, which may be a number.
        known_as = thread_id if config is None else config["configurable"]["thread_id"]
        parent = fields["parent"]
        return CheckpointTuple(
            config=_config(known_as, *key),
            checkpoint=cast(Checkpoint, checkpoint),
            metadata=cast(CheckpointMetadata, self._loaded(thread_id, fields["metadata"])),
            parent_config=None if parent is None else _config(known_as, key[0], parent),
            pending_writes=[self._write(thread_id, write) for write in writes],
        )

    def _write(self, thread_id: str, write: Write) -> PendingWrite:
        return write.task_id, write.channel, self._loaded(thread_id, write.value)

    def _loaded(self, thread_id: str, value: Sequence[Any]) -> Any:
        return self.serde.loads_typed(self._threads.typed(thread_id, value))

    def _deltas(self, thread_id: str, fields: dict[str, Any]) -> Iterable[str]:
        return self._loaded(thread_id, fields["metadata"]).get(_DELTAS) or ()

    # Writing.

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Stores a checkpoint. The one that the config names is its parent.

        Of its values only those are stored that the parent does not have.
        """
        thread_id, ns, parent = _place(config)
        kept = {name: value for name, value in checkpoint.items() if name != "channel_values"}
        values = checkpoint.get("channel_values") or {}
        versions = checkpoint.get("channel_versions") or {}

        @functools.cache
        def value(channel: str) -> Typed:
            return self.serde.dumps_typed(values[channel])

        new = NewCheckpoint(
            parent=parent or None,
            checkpoint=self.serde.dumps_typed(kept),
            metadata=self.serde.dumps_typed(get_checkpoint_metadata(config, metadata)),
            channels=[(channel, versions.get(channel)) for channel in values],
            changed=new_versions,
            value=value,
        )
        self._threads.put(thread_id, (ns, checkpoint["id"]), new)
        return _config(config["configurable"]["thread_id"], ns, checkpoint["id"])

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Stores what a task has written at a checkpoint, all of it or nothing.

        Of a task's ordinary writes those that were stored first count; errors, interrupts and the like replace earlier ones.
        """
        thread_id, ns, id = _place(config)
        if not id:
            raise InvalidInput("writes belong to a checkpoint, and the config names none: it needs a checkpoint_id")
        numbered = [
            (WRITES_IDX_MAP.get(channel, index), channel, self.serde.dumps_typed(value))
            for index, (channel, value) in enumerate(writes)
        ]
        self._threads.put_writes(thread_id, (ns, id), task_id, task_path, numbered)

    def delete_thread(self, thread_id: str) -> None:
        """Removes a thread, with all namespaces, checkpoints and writes."""
        self._threads.delete(_thread_id(thread_id))

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Removes the checkpoints of runs, with their writes, from all threads at once.

        Raises :class:`Unsupported`, and removes nothing, where a delta channel of another checkpoint is made from their
        writes.
        """
        wanted = {str(id) for id in run_ids}
        if not wanted:
            return

        def is_of_runs(thread_id: str, fields: dict[str, Any]) -> bool:
            return str(self._loaded(thread_id, fields["metadata"]).get("run_id")) in wanted

        self._threads.delete_for_runs(is_of_runs, self._deltas)

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Stores all that one thread has in another one too. It appears there all at once."""
        self._threads.copy(_thread_id(source_thread_id), _thread_id(target_thread_id))

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Removes all checkpoints of threads but the newest of each namespace, or with ``"delete"`` the threads.

        Where the newest one has delta channels, the earlier ones that their values are made from are kept too.
        """
        if strategy not in ("keep_latest", "delete"):
            raise InvalidInput(f"strategy must be 'keep_latest' or 'delete', not {strategy!r}")
        for thread_id in map(_thread_id, thread_ids):
            if strategy == "delete":
                self._threads.delete(thread_id)
            else:
                self._threads.prune(thread_id, self._deltas)

    # The same, while the event loop goes on.

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """:meth:`get_tuple`, while the event loop goes on."""
        return await self._owner.run(lambda: self.get_tuple(config))

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """:meth:`list`, while the event loop goes on."""
        listed = self.list(config, filter=filter, before=before, limit=limit)
        while page := await self._owner.run(lambda: list(islice(listed, _PAGE))):
            for each in page:
                yield each

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """:meth:`put`, while the event loop goes on."""
        return await self._owner.run(lambda: self.put(config, checkpoint, metadata, new_versions))

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """:meth:`put_writes`, while the event loop goes on."""
        await self._owner.run(lambda: self.put_writes(config, writes, task_id, task_path))

    async def adelete_thread(self, thread_id: str) -> None:
        """:meth:`delete_thread`, while the event loop goes on."""
        await self._owner.run(lambda: self.delete_thread(thread_id))

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """:meth:`delete_for_runs`, while the event loop goes on."""
        await self._owner.run(lambda: self.delete_for_runs(run_ids))

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """:meth:`copy_thread`, while the event loop goes on."""
        await self._owner.run(lambda: self.copy_thread(source_thread_id, target_thread_id))

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """:meth:`prune`, while the event loop goes on."""
        await self._owner.run(lambda: self.prune(thread_ids, strategy=strategy))

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """:meth:`get_delta_channel_history`, while the event loop goes on."""
        return await self._owner.run(lambda: self.get_delta_channel_history(config=config, channels=channels))


def _place(config: RunnableConfig) -> tuple[str, str, str | None]:
    """The thread, the namespace and the checkpoint that a config names."""
    configurable = config.get("configurable") or {}
    thread_id = _thread_id(configurable.get("thread_id"))
    return thread_id, configurable.get("checkpoint_ns") or "", get_checkpoint_id(config)


def _thread_id(id: Any) -> str:
    # All users whose id a program has mislaid would have one thread together.
    if id is None or str(id) == "":
        raise InvalidInput(f"a config needs a thread_id with something in it, not {id!r}")
    return str(id)


def _config(thread_id: Any, ns: str, id: str) -> RunnableConfig:
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": ns, "checkpoint_id": id}}
