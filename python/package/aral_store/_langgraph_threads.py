"""The threads of LangGraph in a store: their checkpoints, writes and values, as typed bytes.

A thread is two conversations. ``langgraph:ID`` has a message for each checkpoint and for each call that stored writes, with
what is short in it. ``langgraph-values:ID`` has the long values, each at a place that stays its own. So the first is read
whole, once, and of the second what is asked for.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ._errors import AralStoreError, Conflict, InvalidInput, NotFound, Unsupported
from ._langgraph_reading import RECORD, Record, Seen, read_since, record_at, state_of
from ._lock import Lock
from ._store import Store

_T = TypeVar("_T")

#: What a value is to LangGraph's serializers: a name and bytes.
Typed = tuple[str, bytes]

#: A checkpoint namespace and a checkpoint's id.
Key = tuple[str, str]

THREAD = "langgraph:"
VALUES = "langgraph-values:"

_CHECKPOINT = "checkpoint"
_WRITES = "writes"
_VALUE = "value"

#: A value of more bytes than this is a message of its own.
_SHORT = 1024

#: A text of more characters than this is divided among several messages.
_PART = 16 << 20

#: What is remembered of all threads together, in characters; beyond that, the threads used last are.
_REMEMBERED = 32 << 20
_THREADS = 256


@dataclass(slots=True)
class Write:
    """One value that a task has written at a checkpoint."""

    task_id: str
    path: str
    channel: str
    value: list[Any]


@dataclass(slots=True)
class _Thread:
    """What the messages of a thread add up to."""

    lock: Lock = field(default_factory=lambda: Lock(survives_fork=False))
    seen: Seen = field(default_factory=Seen)
    values: tuple[int, int] | None = None
    checkpoints: dict[Key, Record] = field(default_factory=dict)
    writes: dict[Key, dict[tuple[str, int], Write]] = field(default_factory=dict)
    written: dict[Key, list[Record]] = field(default_factory=dict)
    replaced: list[Record] = field(default_factory=list)
    size: int = 0

    def clear(self) -> None:
        self.checkpoints, self.writes, self.written, self.replaced, self.size = {}, {}, {}, [], 0

    def apply(self, record: Record) -> None:
        if record.role not in (_CHECKPOINT, _WRITES) or not isinstance(record.fields.get("id"), str):
            # Somebody's own message, which is none of LangGraph's.
            return
        key = (record.fields["ns"], record.fields["id"])
        self.size += _size(record.fields)
        if record.role == _CHECKPOINT:
            if key in self.checkpoints:
                self.replaced.append(self.checkpoints[key])
            self.checkpoints[key] = record
            return
        self.written.setdefault(key, []).append(record)
        task_id, path = record.fields["task"], record.fields["path"]
        writes = self.writes.setdefault(key, {})
        for index, channel, *value in record.fields["writes"]:
            # Of a task's ordinary writes the first counts, of its errors, interrupts and the like the last.
            if index < 0 or (task_id, index) not in writes:
                writes[task_id, index] = Write(task_id, path, channel, value)

    def records(self) -> Iterator[tuple[Key | None, Record]]:
        """All records, each with the checkpoint that it is about; of one that was stored again, with none."""
        yield from self.checkpoints.items()
        for key, records in self.written.items():
            yield from ((key, record) for record in records)
        yield from ((None, record) for record in self.replaced)


class Gone(AralStoreError):
    """A value that is no longer there, because its checkpoint was removed meanwhile."""


class Threads:
    """The threads of one store. What is remembered of them is brought up to date by each call."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._lock = Lock(survives_fork=False)
        self._threads: OrderedDict[str, _Thread] = OrderedDict()

    # Reading.

    def ids(self) -> list[str]:
        """The threads that there are."""
        rows = self.store._core.summaries(by_activity=False, limit=None, after=None)
        return [row[0].removeprefix(THREAD) for row in rows if row[0].startswith(THREAD)]

    def keys(self, thread_id: str) -> dict[Key, str | None]:
        """The checkpoints of a thread, each with the id of its parent."""
        thread = self._thread(thread_id)
        with thread.lock:
            self._refresh(thread_id, thread)
            return {key: record.fields["parent"] for key, record in thread.checkpoints.items()}

    def latest(self, thread_id: str, ns: str) -> str | None:
        """The id of the newest checkpoint of a namespace."""
        return max((id for at, id in self.keys(thread_id) if at == ns), default=None)

    def get(self, thread_id: str, key: Key) -> tuple[dict[str, Any], list[Write]] | None:
        """A checkpoint's record, and its writes in the order in which LangGraph applies them."""
        thread = self._thread(thread_id)
        with thread.lock:
            self._refresh(thread_id, thread)
            record = thread.checkpoints.get(key)
            if record is None:
                return None
            return record.fields, _in_order(thread.writes.get(key, {}))

    def typed(self, thread_id: str, value: Sequence[Any]) -> Typed:
        """A value of a record as LangGraph's serializers take it."""
        kind, kept = value[0], value[1]
        text = kept if isinstance(kept, str) else "".join(self._part(thread_id, place) for place in kept)
        return kind, b64decode(text)

    def whole(self, thread_id: str, read: Callable[[], _T]) -> _T:
        """What a reading gives that may come upon a removal by somebody else: it is made again then."""
        while True:
            before = state_of(self.store, THREAD + thread_id)
            try:
                return read()
            except Gone as error:
                if state_of(self.store, THREAD + thread_id) == before:
                    # Nobody is at it: the value was taken away by itself.
                    raise NotFound(error.message) from None

    def _part(self, thread_id: str, place: int) -> str:
        found = record_at(self.store, VALUES + thread_id, place)
        if found is None or found.id != str(place) or not isinstance(found.fields.get("data"), str):
            raise Gone(f"value {place} of thread {thread_id!r} is no longer in {VALUES + thread_id!r}")
        text: str = found.fields["data"]
        return text

    # Writing.

    def put(self, thread_id: str, key: Key, new: NewCheckpoint) -> None:
        """Stores a checkpoint, in the place of one with the same id."""
        thread = self._thread(thread_id)
        while True:
            with thread.lock:
                self._refresh(thread_id, thread)
                long = _Long(thread_id, self._values(thread_id, thread))
                parent = thread.checkpoints.get((key[0], new.parent)) if new.parent else None
                same = thread.checkpoints.get(key)
                before = {} if same is None else same.fields
                fields: dict[str, Any] = {
                    "ns": key[0],
                    "id": key[1],
                    "parent": new.parent,
                    "checkpoint": self._kept(thread_id, long, new.checkpoint, before.get("checkpoint")),
                    "metadata": self._kept(thread_id, long, new.metadata, before.get("metadata")),
                    "values": {},
                }
                for channel, version in new.channels:
                    of_parent = None if parent is None else parent.fields["values"].get(channel)
                    if channel not in new.changed and _is_of(of_parent, version):
                        fields["values"][channel] = of_parent
                        continue
                    of_same = before.get("values", {}).get(channel)
                    kept = self._kept(thread_id, long, new.value(channel), of_same)
                    fields["values"][channel] = kept if isinstance(kept[1], str) else [*kept[:2], version]
                if before == fields:
                    return
                head = _message(thread_id, _CHECKPOINT, f"checkpoint {key[1]}", fields)
                if self._append(thread_id, thread, long, head):
                    return

    def put_writes(self, thread_id: str, key: Key, task_id: str, path: str, writes: Sequence[tuple[int, str, Typed]]) -> None:
        """Stores what a task has written at a checkpoint, if it is not there."""
        thread = self._thread(thread_id)
        while True:
            with thread.lock:
                self._refresh(thread_id, thread)
                there = thread.writes.get(key, {})
                long = _Long(thread_id, self._values(thread_id, thread))
                kept = []
                for index, channel, typed in writes:
                    before = there.get((task_id, index))
                    if index >= 0 and before is not None:
                        continue
                    if before is None or not self._is_same(thread_id, before, channel, path, typed):
                        kept.append([index, channel, *self._kept(thread_id, long, typed, None)])
                if not kept:
                    return
                fields = {"ns": key[0], "id": key[1], "task": task_id, "path": path, "writes": kept}
                head = _message(thread_id, _WRITES, f"writes of {task_id}", fields)
                if self._append(thread_id, thread, long, head):
                    return

    def delete(self, thread_id: str) -> None:
        """Removes a thread with everything in it."""
        ids = (THREAD + thread_id, VALUES + thread_id)
        while True:
            there = [id for id in ids if self.store._core.summary(id) is not None]
            if not there:
                return
            try:
                self.store.batch({"type": "remove_conversation", "conversation_id": id} for id in there)
                return
            except (Conflict, NotFound):
                # Somebody else was faster.
                continue

    def copy(self, source: str, target: str) -> None:
        """Stores all checkpoints and writes of a thread in another one as well."""
        if source != target:
            self.whole(source, lambda: self._copy(source, target))

    def _copy(self, source: str, target: str) -> None:
        thread = self._thread(source)
        with thread.lock:
            self._refresh(source, thread)
            records = [record for key, record in thread.records() if key is not None]
        moved: dict[int, int] = {}
        for record in records:
            for place in _places(record.fields):
                if place not in moved:
                    moved[place] = self._add_part(target, self._part(source, place))
        copies = [
            _message(target, record.role, record.content, _at_other_places(record.fields, moved)) for record in records
        ]
        if copies:
            # All of them at once: until then nothing refers to the values.
            self.store.batch(copies)

    def _add_part(self, thread_id: str, text: str) -> int:
        while True:
            version, place = state_of(self.store, VALUES + thread_id)
            try:
                self.store.batch([_part(thread_id, place, text) | {"expect": version}])
                return place
            except Conflict:
                continue

    def prune(self, thread_id: str, deltas: Callable[[str, dict[str, Any]], Iterable[str]]) -> None:
        """Removes all checkpoints but the newest of each namespace, and those that its values are made from."""

        def unneeded(thread: _Thread) -> set[Key]:
            newest: dict[str, str] = {}
            for ns, id in thread.checkpoints:
                newest[ns] = max(id, newest.get(ns, id))
            kept = set(newest.items())
            for key in list(kept):
                kept |= _needed(thread, key, deltas(thread_id, thread.checkpoints[key].fields))
            # Writes may be there before their checkpoint, and are kept as long as it may still come.
            orphans = {
                key for key in thread.writes if key not in thread.checkpoints and key[1] < newest.get(key[0], "")
            }
            return (thread.checkpoints.keys() - kept) | orphans

        self._remove([thread_id], lambda _, thread: unneeded(thread))

    def delete_for_runs(
        self,
        is_of_runs: Callable[[str, dict[str, Any]], bool],
        deltas: Callable[[str, dict[str, Any]], Iterable[str]],
    ) -> None:
        """Removes the checkpoints that certain runs have stored, in all threads at once.

        Raises :class:`Unsupported`, and removes none, if a value of another checkpoint is made from them.
        """

        def of_runs(thread_id: str, thread: _Thread) -> set[Key]:
            doomed = {key for key, record in thread.checkpoints.items() if is_of_runs(thread_id, record.fields)}
            if not doomed:
                return doomed
            for key in thread.checkpoints.keys() - doomed:
                channels = list(deltas(thread_id, thread.checkpoints[key].fields))
                if _needed(thread, key, channels) & doomed:
                    raise Unsupported(
                        f"{', '.join(map(repr, channels))} of checkpoint {key[1]} of thread {thread_id!r} is made from "
                        "writes of a run that would be removed: remove the whole thread, or keep the run"
                    )
            return doomed

        self._remove(self.ids, of_runs)

    def _remove(
        self, ids: Sequence[str] | Callable[[], Sequence[str]], choose: Callable[[str, _Thread], set[Key]]
    ) -> None:
        while True:
            mutations: list[dict[str, Any]] = []
            for thread_id in ids() if callable(ids) else ids:
                thread = self._thread(thread_id)
                with thread.lock:
                    self._refresh(thread_id, thread)
                    values = state_of(self.store, VALUES + thread_id)
                    mutations += _removals(thread_id, thread, values, self.whole(thread_id, lambda: choose(thread_id, thread)))
            try:
                if mutations:
                    self.store.batch(mutations)
                return
            except (Conflict, NotFound):
                # Something was stored meanwhile, which may need what was chosen.
                continue

    # What they share.

    def _thread(self, thread_id: str) -> _Thread:
        with self._lock:
            thread = self._threads.setdefault(thread_id, _Thread())
            self._threads.move_to_end(thread_id)
            size = sum(each.size for each in self._threads.values())
            while len(self._threads) > 1 and (size > _REMEMBERED or len(self._threads) > _THREADS):
                size -= self._threads.popitem(last=False)[1].size
            return thread

    def _refresh(self, thread_id: str, thread: _Thread) -> None:
        seen, is_new, records = read_since(self.store, THREAD + thread_id, thread.seen)
        if is_new:
            thread.clear()
            thread.values = None
        for record in records:
            thread.apply(record)
        thread.seen = seen

    def _values(self, thread_id: str, thread: _Thread) -> tuple[int, int]:
        if thread.values is None:
            thread.values = state_of(self.store, VALUES + thread_id)
        return thread.values

    def _kept(self, thread_id: str, long: _Long, typed: Typed, before: list[Any] | None) -> list[Any]:
        """A value as a record has it; the same as before if it is the same, so that it is not there twice."""
        kind, data = typed
        text = b64encode(data).decode("ascii")
        if len(data) <= _SHORT:
            return [kind, text]
        if before is not None and before[0] == kind and not isinstance(before[1], str):
            try:
                if self.typed(thread_id, before) == typed:
                    return before[:2]
            except Gone:
                pass
        return [kind, long.add(text)]

    def _is_same(self, thread_id: str, write: Write, channel: str, path: str, typed: Typed) -> bool:
        try:
            return (write.channel, write.path) == (channel, path) and self.typed(thread_id, write.value) == typed
        except Gone:
            return False

    def _append(self, thread_id: str, thread: _Thread, long: _Long, head: dict[str, Any]) -> bool:
        """Stores a record with its long values. Not, if the thread is no longer what was seen."""
        if next(_places(head["metadata"][RECORD]), None) is not None:
            # A value that is there already must not be taken away meanwhile.
            head["expect"] = thread.seen.version
        try:
            receipts = self.store.batch([*long.parts, head])
        except Conflict:
            thread.values = None
            return False
        if long.parts:
            thread.values = (receipts[-2].version, long.count + len(long.parts))
        seen = thread.seen.with_addition(receipts[-1])
        if seen is not None:
            # Nobody else has stored anything meanwhile, so this need not be read.
            thread.apply(Record(receipts[-1].id, head["role"], head["content"], head["metadata"][RECORD]))
            thread.seen = seen
        return True


@dataclass(frozen=True, slots=True)
class NewCheckpoint:
    """A checkpoint to be stored."""

    parent: str | None
    checkpoint: Typed
    metadata: Typed
    channels: list[tuple[str, Any]]
    """Its channels that have a value, each with its version."""
    changed: Mapping[str, Any]
    """The channels whose values are new."""
    value: Callable[[str], Typed]
    """The value of a channel."""


class _Long:
    """Values that will be messages of their own."""

    def __init__(self, thread_id: str, values: tuple[int, int]) -> None:
        self._thread_id = thread_id
        self._version, self.count = values
        self.parts: list[dict[str, Any]] = []

    def add(self, text: str) -> list[int]:
        places = []
        for start in range(0, len(text), _PART):
            place = self.count + len(self.parts)
            part = _part(self._thread_id, place, text[start : start + _PART])
            if not self.parts:
                # Only so is each at the place by which it is known.
                part["expect"] = self._version
            self.parts.append(part)
            places.append(place)
        return places


def _part(thread_id: str, place: int, text: str) -> dict[str, Any]:
    message = _message(thread_id, _VALUE, f"value {place}", {"data": text})
    return message | {"conversation_id": VALUES + thread_id, "id": str(place)}


def _message(thread_id: str, role: str, content: str, fields: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "add_message",
        "conversation_id": THREAD + thread_id,
        "role": role,
        "content": content,
        "metadata": {RECORD: fields},
    }


def _is_of(value: list[Any] | None, version: Any) -> bool:
    """Whether a value is a long one of this version of its channel."""
    return value is not None and len(value) > 2 and version is not None and value[2] == version


def _in_order(writes: Mapping[tuple[str, int], Write]) -> list[Write]:
    return [writes[at] for at in sorted(writes, key=lambda at: (writes[at].path, *at))]


def _size(fields: dict[str, Any]) -> int:
    kept = [fields.get("checkpoint"), fields.get("metadata"), *fields.get("values", {}).values()]
    kept += [write[2:] for write in fields.get("writes", ())]
    return 500 + sum(100 + len(value[1]) for value in kept if value)


def _all_kept(fields: dict[str, Any]) -> Iterator[list[Any]]:
    if "writes" in fields:
        yield from (write[2:] for write in fields["writes"])
    else:
        yield from (fields["checkpoint"], fields["metadata"], *fields["values"].values())


def _places(fields: dict[str, Any]) -> Iterator[int]:
    for value in _all_kept(fields):
        if not isinstance(value[1], str):
            yield from value[1]


def _at_other_places(fields: dict[str, Any], moved: dict[int, int]) -> dict[str, Any]:
    def other(value: list[Any], at: int = 1) -> list[Any]:
        kept = value[at]
        return value if isinstance(kept, str) else [*value[:at], [moved[place] for place in kept], *value[at + 1 :]]

    if "writes" in fields:
        return fields | {"writes": [other(write, 3) for write in fields["writes"]]}
    return fields | {
        "checkpoint": other(fields["checkpoint"]),
        "metadata": other(fields["metadata"]),
        "values": {channel: other(value) for channel, value in fields["values"].items()},
    }


def _needed(thread: _Thread, key: Key, channels: Iterable[str]) -> set[Key]:
    """The ancestors of a checkpoint that have what its channels are made from."""
    fields = thread.checkpoints[key].fields
    remaining = {channel for channel in channels if channel not in fields["values"]}
    needed: set[Key] = set()
    while remaining and fields["parent"] is not None:
        key = (key[0], fields["parent"])
        if key not in thread.checkpoints or key in needed:
            break
        needed.add(key)
        fields = thread.checkpoints[key].fields
        remaining -= fields["values"].keys()
    return needed


def _removals(thread_id: str, thread: _Thread, values: tuple[int, int], doomed: set[Key]) -> list[dict[str, Any]]:
    """What takes the records of certain checkpoints away, and the text of values that no other record has."""
    if not doomed and not thread.replaced:
        return []
    going = [record for key, record in thread.records() if key is None or key in doomed]
    if not going:
        return []
    live = {place for key, record in thread.records() if key not in doomed and key for place in _places(record.fields)}
    empty = sorted({place for record in going for place in _places(record.fields)} - live)
    removals: list[dict[str, Any]] = [
        {"type": "remove_message", "conversation_id": THREAD + thread_id, "message_id": record.id} for record in going
    ]
    removals[0]["expect"] = thread.seen.version
    # The message itself stays, so that each of the others stays at its place.
    emptied: list[dict[str, Any]] = [
        {"type": "edit_message", "conversation_id": VALUES + thread_id, "message_id": str(place), "metadata": {}}
        for place in empty
    ]
    if emptied:
        emptied[0]["expect"] = values[0]
    return removals + emptied
