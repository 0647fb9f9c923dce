"""Conversations, and what they hold, as pydantic models.

The fields, their order and what they accept are those of the Aral framework. Fields that a file has besides are kept
beside the model and written back.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator
from datetime import datetime
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, Field, PrivateAttr, field_validator, model_validator

from ._watch import Watch, WatchedList, notice, own, set_watch, watch_value


def new_id() -> str:
    """A random UUID, lower-case and hyphenated."""
    # What `uuid4` gives, in half of its time. It too asks the system each time, so that no process that was forked off repeats one.
    hex = os.urandom(16).hex()
    return f"{hex[:8]}-{hex[8:12]}-4{hex[13:16]}-{_VARIANTS[hex[16]]}{hex[17:20]}-{hex[20:]}"


#: What stands where a UUID says of which kind it is, by what was drawn there: two bits of it are not random.
_VARIANTS = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


Model = TypeVar("Model", bound="_Kept")
_set = object.__setattr__


class _Kept(BaseModel):
    """What all models share: the fields of a file that they have no name for, and being watched."""

    # No fields and no private attributes, so that they take no part in comparing and copying. What is fresh has been given
    # by the store and nobody has it yet, so that it becomes watched only when it is asked for; see _WhenAskedFor.
    __slots__ = ("_watch", "_is_fresh")

    #: The fields whose insides are watched.
    _watched: ClassVar[tuple[str, ...]] = ("metadata",)

    _extra: dict[str, Any] = PrivateAttr(default_factory=dict)

    def model_post_init(self, context: Any, /) -> None:
        """Makes lists and dictionaries notice their changes."""
        _set(self, "_watch", None)
        fields = self.__dict__
        for name in self._watched:
            if name in fields:
                fields[name] = own(fields[name])

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_extra":
            # What there was may be shared with other models.
            _set(self, "__pydantic_private__", {"_extra": value})
            return
        super().__setattr__(name, own(value) if name in self._watched else value)
        notice(self)

    def _be_watched(self, watch: Watch) -> None:
        """Lets the watch know of every change of this object from now on."""
        set_watch(self, watch)
        fields, is_fresh = self.__dict__, _is_fresh(self)
        for name in self._watched:
            if is_fresh and type(fields[name]) is dict:
                continue
            value = fields[name] = own(fields[name])
            watch_value(value, watch)

    def __copy__(self: Model) -> Model:
        self._ask_for_all()
        return super().__copy__()

    def __iter__(self) -> Generator[tuple[str, Any], None, None]:
        self._ask_for_all()
        return super().__iter__()

    def _ask_for_all(self) -> None:
        """Makes what is fresh watched, before somebody gets it without asking for it by its name."""
        if _is_fresh(self):
            for name in self._watched:
                getattr(self, name)

    @property
    def extra(self) -> dict[str, Any]:
        """Fields found in a file that the model has no name for: kept, and written back last. A copy."""
        return dict(self._extra)


def _is_fresh(model: _Kept) -> bool:
    try:
        return bool(_fresh_slot(model))
    except AttributeError:
        return False


_fresh_slot: Callable[[_Kept], Any] = vars(_Kept)["_is_fresh"].__get__

#: Two threads that ask at once get the same object, or the changes of one of them would go unnoticed.
_asking = threading.Lock()


class _WhenAskedFor:
    """The field of a model of which the value becomes watched when it is first asked for.

    Reading a conversation of 10,000 messages would otherwise copy 10,000 dictionaries that hardly anybody looks at.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, model: _Kept | None, owner: type | None = None) -> Any:
        if model is None:
            # As if there were nothing, which is what pydantic expects of a field.
            raise AttributeError(self._name)
        try:
            value = model.__dict__[self._name]
        except KeyError:
            raise AttributeError(self._name) from None
        if type(value) is dict and _is_fresh(model):
            with _asking:
                value = model.__dict__[self._name]
                if type(value) is dict:
                    value = model.__dict__[self._name] = own(value)
                    watch = getattr(model, "_watch", None)
                    if watch is not None:
                        watch_value(value, watch)
        return value

    def __set__(self, model: _Kept, value: Any) -> None:
        model.__dict__[self._name] = value


class Message(_Kept):
    """What was said.

    >>> message = Message(content="Hi!")
    >>> message.role
    'user'
    """

    id: str = Field(default_factory=new_id)
    content: str
    role: str = "user"
    created_at: datetime = Field(default_factory=datetime.now)
    metadata: dict[str, Any] = Field(default_factory=dict)


class ConversationAction(_Kept):
    """What was done."""

    _watched = ("metadata", "data")

    id: str = Field(default_factory=new_id)
    action_type: str
    data: dict[str, Any]
    created_at: datetime = Field(default_factory=datetime.now)
    metadata: dict[str, Any] = Field(default_factory=dict)


class Conversation(_Kept):
    """Messages and actions under a title.

    A conversation without a title gets one made of its id::

        >>> Conversation(id="0123456789").title
        'Conversation 01234567'
    """

    # A save looks at the metadata each time, so they need not be watched.
    _watched = ("messages", "actions")

    id: str = Field(default_factory=new_id)
    title: str = ""
    created_at: datetime = Field(default_factory=datetime.now)
    metadata: dict[str, Any] = Field(default_factory=dict)
    messages: list[Message] = Field(default_factory=list)
    actions: list[ConversationAction] = Field(default_factory=list)

    @field_validator("title", mode="before")
    @classmethod
    def _falsy_is_missing(cls, title: Any) -> Any:
        return title if title else ""

    @model_validator(mode="after")
    def _has_a_title(self) -> Conversation:
        if not self.title:
            self.title = default_title(self.id)
        return self

    def _be_watched(self, watch: Watch) -> None:
        watch.is_blind = False
        set_watch(self, watch)
        for name in self._watched:
            items = self.__dict__[name] = own(self.__dict__[name])
            if not isinstance(items, WatchedList):
                watch.is_blind = True
                continue
            set_watch(items, watch)
            for item in items:
                if isinstance(item, _Kept):
                    item._be_watched(watch)
                else:
                    watch.is_blind = True

    def add_message(self, message: Message | dict[str, Any]) -> Message:
        """Adds a message to this object alone; the store has it from the next save of the conversation on."""
        message = Message.model_validate(message)
        self.messages.append(message)
        return message

    def add_action(self, action: ConversationAction | dict[str, Any]) -> ConversationAction:
        """Adds an action to this object alone; the store has it from the next save of the conversation on."""
        action = ConversationAction.model_validate(action)
        self.actions.append(action)
        return action


def extra_of(model: _Kept) -> dict[str, Any]:
    """The fields that the model has no name for, themselves."""
    extra: dict[str, Any] = (model.__pydantic_private__ or {})["_extra"]
    return extra


def default_title(conversation_id: str) -> str:
    """The title of a conversation that was given none."""
    return "Conversation " + conversation_id[:8]


for _model in (Message, ConversationAction):
    for _name in _model._watched:
        setattr(_model, _name, _WhenAskedFor(_name))


#: What most messages have for their private attributes and for the set of fields that they were given, which is all of them.
#: They share one of each, since 10,000 of them take more time and room than the messages do; see _Kept.__setattr__.
_NOTHING_MORE: dict[str, Any] = {"_extra": {}}
_ALL: dict[type[_Kept], set[str]] = {
    model: set(model.model_fields) for model in (Message, ConversationAction, Conversation)
}


def _of(model: type[Model], named: dict[str, Any], fields: dict[str, Any], given: set[str] | None = None) -> Model:
    # What the store gives has been checked on its way in. Validation would refuse nothing and copy everything, and pydantic's own
    # way around it takes longer than reading does.
    value = model.__new__(model)
    private = _NOTHING_MORE
    if len(fields) > len(named):
        private = {"_extra": {name: rest for name, rest in fields.items() if name not in named}}
    _set(value, "__dict__", named)
    _set(value, "__pydantic_fields_set__", _ALL[model] if given is None else given)
    _set(value, "__pydantic_extra__", None)
    _set(value, "__pydantic_private__", private)
    _set(value, "_watch", None)
    _set(value, "_is_fresh", True)
    return value


def new_message(content: str, role: str, metadata: dict[str, Any]) -> Message:
    """``Message(content=…, role=…, metadata=…)``, of metadata that nobody else has."""
    is_as_usual = type(metadata) is dict and _is_text(content) and _is_text(role)
    if not is_as_usual or (metadata and not all(map(_is_text, metadata))):
        # What has to be made something that a message can have is left to the model, and so is the refusal of what cannot.
        return Message(content=content, role=role, metadata=metadata)
    named = {"id": new_id(), "content": content, "role": role, "created_at": datetime.now(), "metadata": metadata}
    return _of(Message, named, named, {"content", "role", "metadata"})


def _is_text(value: Any) -> bool:
    """Whether it is a string without half of a pair of surrogates, which is no character."""
    if type(value) is not str:
        return False
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            return False
    return True


def message_of(fields: dict[str, Any]) -> Message:
    """The message that the store has given."""
    named = {
        "id": fields["id"],
        "content": fields["content"],
        "role": fields["role"],
        "created_at": datetime.fromisoformat(fields["created_at"]),
        "metadata": fields["metadata"],
    }
    return _of(Message, named, fields)


def action_of(fields: dict[str, Any]) -> ConversationAction:
    """The action that the store has given."""
    named = {
        "id": fields["id"],
        "action_type": fields["action_type"],
        "data": fields["data"],
        "created_at": datetime.fromisoformat(fields["created_at"]),
        "metadata": fields["metadata"],
    }
    return _of(ConversationAction, named, fields)


def conversation_of(fields: dict[str, Any]) -> Conversation:
    """The conversation that the store has given."""
    named = {
        "id": fields["id"],
        "title": fields["title"] or default_title(fields["id"]),
        "created_at": datetime.fromisoformat(fields["created_at"]),
        "metadata": fields["metadata"],
        "messages": WatchedList(map(message_of, fields["messages"])),
        "actions": WatchedList(map(action_of, fields["actions"])),
    }
    return _of(Conversation, named, fields)
