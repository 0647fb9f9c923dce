"""What a save has to append: the difference between a conversation and what the store knows of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from ._errors import InvalidInput
from ._json import encode, encode_object, string, with_members
from ._models import Conversation, ConversationAction, Message, extra_of
from ._watch import Watch


class Item(NamedTuple):
    """A message or an action as the store knows it."""

    id: str
    text: str
    """A message's content, an action's type."""
    role: str
    created_at: str
    metadata: str
    data: str
    extra: str


class _Head(NamedTuple):
    title: str
    metadata: str
    created_at: str
    id: str
    time: datetime
    """What ``created_at`` is the text of."""


@dataclass(slots=True)
class Known:
    """A live conversation, and what the store knows of it."""

    conversation: Conversation
    head: _Head
    messages: list[Item]
    actions: list[Item]
    version: int
    """The version that this is; 0 if the store has nothing of it."""
    seq: int = field(default=0, compare=False)
    """The number of the last event that this has; 0 if that is not known, so that it is read again when it is asked for.
    A conversation that was removed and begun anew counts its versions anew, but no number is given twice."""
    watch: Watch | None = field(default=None, compare=False)
    """What tells whether anything in the lists has changed since; nothing does without one."""
    seen: object = field(default=None, compare=False)
    """The watch's mark when the conversation was last looked at; ``None`` if it has to be looked at anew."""

    @property
    def is_saved(self) -> bool:
        """Whether the store has it at all."""
        return self.version > 0

    def of(self, conversation: Conversation) -> Known:
        """The same knowledge, of another object in this one's place, whatever id that has by itself."""
        head = self.head._replace(id=conversation.id)
        return Known(conversation, head, self.messages, self.actions, self.version, self.seq)

    @property
    def is_current(self) -> bool:
        """Whether the live conversation is certainly as it is known; costs nothing for each message."""
        watch, fields, head = self.watch, self.conversation.__dict__, self.head
        return (
            watch is not None
            and watch.is_quiet_since(self.seen)
            and len(fields["messages"]) == len(self.messages)
            and len(fields["actions"]) == len(self.actions)
            and fields["title"] == head.title
            and fields["id"] == head.id
            and fields["created_at"] is head.time
            and _object("metadata", fields["metadata"]) == head.metadata
        )

    def add(self, item: Message | ConversationAction, added: Item, seq: int) -> None:
        """Adds what the store has just added, as it has it."""
        if self.watch is not None:
            item._be_watched(self.watch)
        # The list's own method, since this is no change that the store does not know of.
        if isinstance(item, Message):
            self.messages.append(added)
            list.append(self.conversation.messages, item)
        else:
            self.actions.append(added)
            list.append(self.conversation.actions, item)
        self.version, self.seq = self.version + 1, seq

    def has(self, item: Message | ConversationAction) -> bool:
        """Whether this very addition shows already."""
        items = self.messages if isinstance(item, Message) else self.actions
        return bool(items) and items[-1].id == item.id

    def newest(
        self, like: Message | ConversationAction, id: str
    ) -> Message | ConversationAction | None:
        """The newest item of the same kind that has this id."""
        items: list[Any] = self.conversation.messages if isinstance(like, Message) else self.conversation.actions
        if items and items[-1].id == id:
            return items[-1]  # type: ignore[no-any-return]
        return next((item for item in reversed(items) if item.id == id), None)

    def take_over(self, fresh: Conversation, version: int, seq: int) -> None:
        """Brings the live object up to what is stored, unless it has changes that are not saved.

        Its lists, and the items that are as stored, stay the same objects.
        """
        if not self.is_current and known_of(self.conversation, version=self.version) != self:
            return
        new = known_of(fresh, version=version)
        _renew(self.conversation.messages, self.messages, fresh.messages, new.messages)
        _renew(self.conversation.actions, self.actions, fresh.actions, new.actions)
        self.conversation.title, self.conversation.metadata = fresh.title, fresh.metadata
        self.conversation.created_at, self.conversation._extra = fresh.created_at, fresh._extra
        self.head, self.messages, self.actions = new.head, new.messages, new.actions
        self.version, self.seq = version, seq
        self.watch, self.seen = watch_of(self.conversation), None


def _renew(live: list[Any], before: list[Item], fresh: list[Any], now: list[Item]) -> None:
    same = dict(zip(before, live))
    live[:] = [same.get(item, value) for item, value in zip(now, fresh)]


def known_of(conversation: Conversation, *, version: int, like: Known | None = None) -> Known:
    """What the store knows of a conversation that it has exactly so; nothing, with the version 0.

    If much of it is like something that is known already, it is made faster of that.
    """
    messages = _items("messages", conversation.messages, like.messages if like else [], _message)
    actions = _items("actions", conversation.actions, like.actions if like else [], _action)
    return Known(conversation, _head(conversation), messages, actions, version)


def watch_of(conversation: Conversation) -> Watch:
    """What notices the changes of a conversation from now on."""
    watch: Watch = getattr(conversation, "_watch", None) or Watch()
    conversation._be_watched(watch)
    return watch


def looked_at(
    conversation: Conversation, *, version: int, seq: int = 0, like: Known | None = None
) -> Known:
    """The same as :func:`known_of`, with the conversation watched from before it is looked at."""
    watch = watch_of(conversation)
    # Order: take down the mark, then look. Reversed, a change that another thread makes between the two would be missed.
    seen = watch.mark
    known = known_of(conversation, version=version, like=like)
    known.seq, known.watch, known.seen = seq, watch, seen
    return known


def changes(id: str, now: Known, known: Known | None) -> list[str]:
    """The mutations, as JSON, that make of what is known what the conversation is now."""
    head, messages, actions = now.head, now.messages, now.actions
    if known is None or not known.is_saved:
        return _begin(id, now.conversation, head, messages, actions)
    before = known.head
    found: list[str] = []
    if head.created_at != before.created_at:
        found.append(encode({"type": "set_created_at", "conversation_id": id, "created_at": head.created_at}))
    if head.title != before.title:
        found.append(encode({"type": "set_title", "conversation_id": id, "title": head.title}))
    if head.metadata != before.metadata:
        found.append(
            with_members({"type": "set_metadata", "conversation_id": id}, metadata=head.metadata)
        )
    of_messages = _listed(id, "message", known.messages, messages)
    of_actions = _listed(id, "action", known.actions, actions)
    if of_messages is None or of_actions is None:
        # No event puts an item elsewhere or gives it another id. All of them anew, in one batch, does.
        # What others have added meanwhile must not go with it, so the version has to be the known one.
        clear = encode({"type": "clear", "conversation_id": id, "expect": known.version + len(found)})
        found.append(clear)
        return found + [_added(id, "message", item) for item in messages] + [
            _added(id, "action", item) for item in actions
        ]
    return found + of_messages + of_actions


def _begin(
    id: str, conversation: Conversation, head: _Head, messages: list[Item], actions: list[Item]
) -> list[str]:
    begun = {
        "type": "create_conversation",
        "conversation_id": id,
        "title": head.title,
        "created_at": head.created_at,
    }
    extra = encode_object("extra", conversation.extra)
    first = with_members(begun, metadata=head.metadata, extra=extra)
    return (
        [first]
        + [_added(id, "message", item) for item in messages]
        + [_added(id, "action", item) for item in actions]
    )


def _listed(id: str, what: str, before: list[Item], now: list[Item]) -> list[str] | None:
    """The mutations for a list; ``None`` if additions at the end, edits and removals do not make it."""
    found: list[str] = []
    if len(now) < len(before):
        gone = _gone(before, now)
        if gone is None:
            return None
        key = f"{what}_id"
        found = [encode({"type": f"remove_{what}", "conversation_id": id, key: item.id}) for item in gone]
        left = {item.id for item in gone}
        before = [item for item in before if item.id not in left]
    different = [(old, new) for old, new in zip(before, now) if old is not new and old != new]
    counts = Counter(item.id for item in now) if different else Counter()
    for old, new in different:
        edit = None if counts[new.id] > 1 else _edited(id, what, old, new)
        if edit is None:
            return None
        found.append(edit)
    return found + [_added(id, what, item) for item in now[len(before) :]]


def _gone(before: list[Item], now: list[Item]) -> list[Item] | None:
    """What was removed, if what is left of the old list comes first, in its old order.

    Of items that share an id, all have to be gone: a removal means the last of them, which may be another one.
    """
    kept = {item.id for item in now}
    gone = [item for item in before if item.id not in kept]
    left = [item.id for item in before if item.id in kept]
    return gone if left == [item.id for item in now][: len(left)] else None


def _edited(id: str, what: str, old: Item, new: Item) -> str | None:
    """The mutation that makes of an item what it is now, in its place; ``None`` if it is another item."""
    if old.id != new.id:
        return None
    edit: dict[str, Any] = {"type": f"edit_{what}", "conversation_id": id, f"{what}_id": new.id}
    names = {"text": "content" if what == "message" else "action_type", "role": "role", "created_at": "created_at"}
    edit |= {name: getattr(new, field) for field, name in names.items() if getattr(new, field) != getattr(old, field)}
    objects = {name: getattr(new, name) for name in ("data", "metadata", "extra")}
    return with_members(edit, **{name: text for name, text in objects.items() if text != getattr(old, name)})


def item_of(item: Message | ConversationAction) -> Item:
    """A message or an action as the store will know it."""
    return _message(item) if isinstance(item, Message) else _action(item)


def addition(id: str, item: Message | ConversationAction, as_known: Item, key: str | None, expect: int | None) -> str:
    """The mutation, as JSON, that adds what a live object shows."""
    line = _added(id, "message" if isinstance(item, Message) else "action", as_known)
    if key is None and expect is None:
        return line
    return line[:-1] + "".join(f',"{name}":{encode(value)}' for name, value in (("key", key), ("expect", expect)) if value is not None) + "}"


def _added(id: str, what: str, item: Item) -> str:
    head = f'{{"type":"add_{what}","conversation_id":{string(id)},"id":{string(item.id)},"created_at":"{item.created_at}"'
    if what == "message":
        head += f',"content":{string(item.text)},"role":{string(item.role)}'
    else:
        head += f',"action_type":{string(item.text)},"data":{item.data}'
    extra = "" if item.extra == "{}" else f',"extra":{item.extra}'
    return f'{head},"metadata":{item.metadata}{extra}}}'


def _object(what: str, value: Any) -> str:
    return "{}" if value == {} else encode_object(what, value)


def _time(value: Any) -> str:
    if not isinstance(value, datetime):
        raise InvalidInput(f"created_at must be a datetime, not {type(value).__name__}")
    return value.isoformat()


def _head(conversation: Conversation) -> _Head:
    metadata, time = _object("metadata", conversation.metadata), conversation.created_at
    return _Head(conversation.title, metadata, _time(time), conversation.id, time)


def _items(what: str, live: list[Any], before: list[Item], item_of: Callable[[Any], Item]) -> list[Item]:
    """The items of a list, the known ones themselves where nothing has changed: most saves change nothing of most."""
    try:
        found = [old if _is_still(value, old) else item_of(value) for value, old in zip(live, before)]
        return found + [item_of(value) for value in live[len(found) :]]
    except (AttributeError, KeyError, TypeError) as error:
        raise InvalidInput(f"{what} is not a list of what belongs there, see Conversation.add_{what[:-1]}") from error


def _is_still(value: Any, item: Item) -> bool:
    fields = value.__dict__
    metadata, data = fields["metadata"], fields.get("data")
    return bool(
        fields["id"] == item.id
        and (fields["content"] if "content" in fields else fields["action_type"]) == item.text
        and fields.get("role", "") == item.role
        and _time(fields["created_at"]) == item.created_at
        and _object("metadata", metadata) == item.metadata
        and (data is None or _object("data", data) == item.data)
    )


def _message(message: Message) -> Item:
    # By way of __dict__, since asking a model for its metadata makes it a watched copy of them.
    fields = message.__dict__
    metadata, extra = _object("metadata", fields["metadata"]), extra_of(message)
    as_text = encode_object("extra", extra) if extra else "{}"
    return Item(fields["id"], fields["content"], fields["role"], _time(fields["created_at"]), metadata, "{}", as_text)


def _action(action: ConversationAction) -> Item:
    fields = action.__dict__
    data, metadata = _object("data", fields["data"]), _object("metadata", fields["metadata"])
    extra = _object("extra", extra_of(action))
    return Item(fields["id"], fields["action_type"], "", _time(fields["created_at"]), metadata, data, extra)
