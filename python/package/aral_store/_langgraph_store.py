"""What LangGraph's agents remember across threads: items in namespaces.

A namespace is a conversation, ``langgraph-store:`` and the JSON of its labels, and an item is a message of it: the key is its
content, and the value is in its metadata. So both can be read and edited as any other message.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from os import PathLike
from typing import Any

from langgraph.store.base import (
    BaseStore,
    GetOp,
    Item,
    ListNamespacesOp,
    MatchCondition,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    validate_op_namespace,
)

from ._async_store import AsyncStore, settled
from ._errors import Conflict, InvalidInput, NotFound, Unsupported
from ._json import decode, encode
from ._key import Key as StoreKey
from ._key import KeyFile
from ._langgraph_reading import RECORD, Record, Seen, read_since
from ._lock import Lock
from ._owner import Owner, OwningBoth
from ._receipts import Receipt
from ._store import Store

Namespace = tuple[str, ...]

NAMESPACE = "langgraph-store:"

_ITEM = "item"

#: So many namespaces are remembered.
_NAMESPACES = 256

#: The deepest nesting of a value.
_DEPTH = 200


@dataclass(slots=True)
class _Known:
    """What the messages of a namespace add up to."""

    seen: Seen = field(default_factory=Seen)
    items: dict[str, Record] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Change:
    """What is about to be stored in a namespace."""

    known: _Known
    seen: Seen
    keys: dict[str, str]
    """The key of each message that is there already."""
    mutations: list[dict[str, Any]]

    def apply(self, receipts: list[Receipt]) -> None:
        """Takes what has been stored for read, if nothing else has come meanwhile and all messages are items."""
        known, items = self.known, self.known.items
        if known.seen is not self.seen or not self.seen.seq or self.seen.count != len(items):
            return
        for mutation, receipt in zip(self.mutations, receipts):
            if mutation["type"] == "remove_message":
                del items[self.keys[receipt.id]]
                continue
            key = self.keys.get(receipt.id, mutation.get("content", ""))
            items[key] = Record(receipt.id, _ITEM, key, mutation["metadata"][RECORD])
        newest = next(reversed(items.values())).id if items else ""
        last = receipts[-1]
        known.seen = replace(self.seen, version=last.version, seq=last.seq, count=len(items), newest=newest)


class AralBaseStore(OwningBoth, BaseStore):
    """Keeps the items of LangGraph's ``BaseStore`` in a store.

    It takes an open :class:`Store` or :class:`AsyncStore`, which stays open, or the path or URL of one, which it opens, with the
    ``key`` or ``key_file`` of an encrypted one, and :meth:`close` closes. A value is a mapping that JSON can hold; what would not come back as it was given is refused with
    :class:`InvalidInput`. All puts of one :meth:`batch` happen or none, and are as durable as the store's ``sync`` says.

    >>> memories = AralBaseStore(Store())
    >>> memories.put(("users", "u7"), "tea", {"likes": "green"})
    >>> memories.get(("users", "u7"), "tea").value
    {'likes': 'green'}
    >>> [item.key for item in memories.search(("users",), filter={"likes": "green"})]
    ['tea']

    There is no index of vectors: :meth:`search` with a ``query``, and a ``ttl``, raise :class:`Unsupported`.
    """

    __slots__ = ("_owner", "_lock", "_known")

    def __init__(
        self,
        store: Store | AsyncStore | str | PathLike[str],
        *,
        key: StoreKey | None = None,
        key_file: KeyFile | None = None,
    ) -> None:
        self._owner = Owner(store, key, key_file)
        self._lock = Lock(survives_fork=False)
        self._known: OrderedDict[Namespace, _Known] = OrderedDict()

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Carries operations out. What is read is as it was before what is put, and of two puts of one key the last counts."""
        return self._batch([_taken(op) for op in ops])

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """:meth:`batch`, while the event loop goes on. It has settled when it raises ``CancelledError``."""
        # What is put is what it is now, whatever becomes of it while a thread stores it.
        given = [_taken(op) for op in ops]
        return await self._owner.run(lambda: self._batch(given))

    def _batch(self, ops: list[Op]) -> list[Result]:
        with self._lock:
            results = [self._read(op) for op in ops]
        # Other threads read and put meanwhile, so that they share syncs.
        self._put(list({(op.namespace, op.key): op for op in ops if isinstance(op, PutOp)}.values()))
        return results

    def _read(self, op: Op) -> Result:
        if isinstance(op, GetOp):
            record = self._items(op.namespace).items.get(op.key)
            return None if record is None else Item(**_fields(op.namespace, op.key, record))
        if isinstance(op, SearchOp):
            return self._found(op)
        if isinstance(op, ListNamespacesOp):
            return self._namespaces(op)
        return None

    def _found(self, op: SearchOp) -> list[SearchItem]:
        # With negative numbers, which count from the end as in any slice, all are needed.
        end = op.offset + op.limit if min(op.offset, op.limit) >= 0 else None
        found: list[tuple[Namespace, str, Record]] = []
        for namespace in self._existing():
            if namespace[: len(op.namespace_prefix)] != op.namespace_prefix:
                continue
            if end is not None and len(found) >= end:
                break
            for key, record in self._items(namespace).items.items():
                if _passes(record.fields["value"], op.filter):
                    found.append((namespace, key, record))
        return [SearchItem(**_fields(*each)) for each in found[op.offset : op.offset + op.limit]]

    def _namespaces(self, op: ListNamespacesOp) -> list[Namespace]:
        found = [
            namespace
            for namespace in self._existing()
            if all(_matches(condition, namespace) for condition in op.match_conditions or ())
        ]
        shown = found if op.max_depth is None else {namespace[: op.max_depth] for namespace in found}
        return sorted(shown)[op.offset : op.offset + op.limit]

    def _existing(self) -> Iterator[Namespace]:
        """The namespaces that have items, oldest first."""
        for row in self._owner.store._core.summaries(by_activity=False, limit=None, after=None):
            if row[0].startswith(NAMESPACE) and row[3]:
                yield tuple(json.loads(row[0].removeprefix(NAMESPACE)))

    def _items(self, namespace: Namespace) -> _Known:
        known = self._known.setdefault(namespace, _Known())
        self._known.move_to_end(namespace)
        if len(self._known) > _NAMESPACES:
            self._known.popitem(last=False)
        seen, is_new, records = read_since(self._owner.store, _id(namespace), known.seen)
        if is_new:
            known.items.clear()
        for record in records:
            if record.role == _ITEM and isinstance(record.fields.get("value"), dict):
                known.items[record.content] = record
        known.seen = seen
        return known

    def _put(self, ops: list[PutOp]) -> None:
        by_namespace: dict[Namespace, list[PutOp]] = {}
        for op in ops:
            by_namespace.setdefault(op.namespace, []).append(op)
        now = datetime.now(timezone.utc).isoformat()
        while True:
            with self._lock:
                made = [self._change(namespace, each, now) for namespace, each in by_namespace.items()]
            changes = [change for change in made if change is not None]
            if not changes:
                return
            try:
                receipts = self._owner.store.batch(mutation for change in changes for mutation in change.mutations)
            except (Conflict, NotFound):
                # Somebody has changed a namespace meanwhile.
                continue
            with self._lock:
                rest = iter(receipts)
                for change in changes:
                    change.apply([next(rest) for _ in change.mutations])
            return

    def _change(self, namespace: Namespace, ops: list[PutOp], now: str) -> _Change | None:
        known = self._items(namespace)
        mutations = [made for op in ops if (made := _mutation(op, known.items.get(op.key), now)) is not None]
        if not mutations:
            return None
        # Two processes that put the same new key would add it twice.
        mutations[0]["expect"] = known.seen.version
        return _Change(known, known.seen, {known.items[op.key].id: op.key for op in ops if op.key in known.items}, mutations)


def _taken(op: Op) -> Op:
    """An operation as it will be carried out. Refuses what cannot be done, before anything is."""
    if not isinstance(op, (GetOp, SearchOp, ListNamespacesOp, PutOp)):
        raise InvalidInput(f"a batch takes operations of LangGraph's store, not {type(op).__name__}")
    validate_op_namespace(op)
    if isinstance(op, SearchOp):
        if op.query:
            raise Unsupported("AralBaseStore has no index of vectors: search by prefix and filter, without a query")
        _check_filter(op.filter)
    if isinstance(op, PutOp):
        if op.ttl is not None:
            raise Unsupported("items of AralBaseStore do not expire: put them without a ttl")
        if op.value is not None:
            # What is remembered is what would be read.
            return op._replace(value=decode(encode(_json(dict(op.value), "value", 0))))
    return op


def _json(value: Any, where: str, depth: int) -> Any:
    """A copy of a value, if it will come back from JSON."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    if depth > _DEPTH:
        raise InvalidInput(f"{where[:60]}… nests too deeply")
    if isinstance(value, (list, tuple)):
        return [_json(each, f"{where}[{n}]", depth + 1) for n, each in enumerate(value)]
    if not isinstance(value, dict):
        raise InvalidInput(f"{where} is of type {type(value).__name__}, which would not come back from JSON")
    for name in value:
        if not isinstance(name, str):
            raise InvalidInput(f"the names in {where} are strings, not {type(name).__name__}")
    return {name: _json(each, f"{where}[{name!r}]", depth + 1) for name, each in value.items()}


def _mutation(op: PutOp, record: Record | None, now: str) -> dict[str, Any] | None:
    head: dict[str, Any] = {"conversation_id": _id(op.namespace)}
    if op.value is None:
        return None if record is None else head | {"type": "remove_message", "message_id": record.id}
    fields: dict[str, Any] = {"value": op.value, "created_at": now, "updated_at": now}
    if record is None:
        return head | {"type": "add_message", "role": _ITEM, "content": op.key, "metadata": {RECORD: fields}}
    fields["created_at"] = record.fields["created_at"]
    return head | {"type": "edit_message", "message_id": record.id, "metadata": {RECORD: fields}}


def _id(namespace: Namespace) -> str:
    return NAMESPACE + json.dumps(namespace, separators=(",", ":"))


def _fields(namespace: Namespace, key: str, record: Record) -> dict[str, Any]:
    return {
        "namespace": namespace,
        "key": key,
        "value": _copied(record.fields["value"]),
        "created_at": record.fields["created_at"],
        "updated_at": record.fields["updated_at"],
    }


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copied(each) for name, each in value.items()}
    return [_copied(each) for each in value] if isinstance(value, list) else value


def _matches(condition: MatchCondition, namespace: Namespace) -> bool:
    path = tuple(condition.path)
    if condition.match_type == "prefix":
        part = namespace[: len(path)]
    elif condition.match_type == "suffix":
        part = namespace[-len(path) :] if path else ()
    else:
        raise InvalidInput(f"a namespace matches by prefix or suffix, not by {condition.match_type!r}")
    return len(part) == len(path) and all(wanted in ("*", label) for wanted, label in zip(path, part))


_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "$gt": lambda value, bound: value > bound,
    "$gte": lambda value, bound: value >= bound,
    "$lt": lambda value, bound: value < bound,
    "$lte": lambda value, bound: value <= bound,
}


def _check_filter(filter: Any) -> None:
    for each in filter.values() if isinstance(filter, dict) else filter if isinstance(filter, (list, tuple)) else ():
        if isinstance(each, dict):
            unknown = [name for name in each if name.startswith("$") and name not in ("$eq", "$ne", *_ORDER)]
            if unknown:
                raise InvalidInput(f"a filter compares by $eq, $ne, $gt, $gte, $lt or $lte, not by {unknown[0]!r}")
        _check_filter(each)


def _passes(value: dict[str, Any], filter: dict[str, Any] | None) -> bool:
    return all(_is(value.get(name), wanted) for name, wanted in (filter or {}).items())


def _is(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict):
        if any(name.startswith("$") for name in wanted):
            return all(_compares(value, how, with_what) for how, with_what in wanted.items())
        return isinstance(value, dict) and all(_is(value.get(name), each) for name, each in wanted.items())
    if isinstance(wanted, (list, tuple)):
        return isinstance(value, list) and len(value) == len(wanted) and all(map(_is, value, wanted))
    return bool(value == wanted)


def _compares(value: Any, how: str, bound: Any) -> bool:
    if how in ("$eq", "$ne"):
        return bool(value == bound) == (how == "$eq")
    compare = _ORDER.get(how)
    if compare is None:
        raise InvalidInput(f"a filter compares by $eq, $ne, $gt, $gte, $lt or $lte, not by {how!r}")
    try:
        return compare(float(value), float(bound))
    except (TypeError, ValueError):
        # Texts that are no numbers, such as days, have an order of their own; nothing else has one.
        return isinstance(value, str) and isinstance(bound, str) and compare(value, bound)
