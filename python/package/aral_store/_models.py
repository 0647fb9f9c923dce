"""Conversations, and what they hold, as pydantic models.

The fields, their order and what they accept are those of the Aral framework. Fields that a file has besides are kept
beside the model and written back.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, TypeVar
from uuid import uuid4

from pydantic import BaseModel, Field, PrivateAttr, field_validator, model_validator

from ._watch import Watch, WatchedList, notice, own, set_watch, watch_value


def new_id() -> str:
    """A random UUID, lower-case and hyphenated."""
    return str(uuid4())


class _Kept(BaseModel):
    """What all models share: the fields of a file that they have no name for, and being watched."""

    # No field and no private attribute, so that it takes no part in comparing and copying.
    __slots__ = ("_watch",)

    #: The fields whose insides are watched.
    _watched: ClassVar[tuple[str, ...]] = ("metadata",)

    _extra: dict[str, Any] = PrivateAttr(default_factory=dict)

    def model_post_init(self, context: Any, /) -> None:
        """Makes lists and dictionaries notice their changes."""
        fields = self.__dict__
        for name in self._watched:
            if name in fields:
                fields[name] = own(fields[name])

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, own(value) if name in self._watched else value)
        notice(self)

    def _be_watched(self, watch: Watch) -> None:
        """Lets the watch know of every change of this object from now on."""
        set_watch(self, watch)
        for name in self._watched:
            value = self.__dict__[name] = own(self.__dict__[name])
            watch_value(value, watch)

    @property
    def extra(self) -> dict[str, Any]:
        """Fields found in a file that the model has no name for: kept, and written back last. A copy."""
        return dict(self._extra)


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


Model = TypeVar("Model", bound=_Kept)


def default_title(conversation_id: str) -> str:
    """The title of a conversation that was given none."""
    return "Conversation " + conversation_id[:8]


def _of(model: type[Model], fields: dict[str, Any], **made: Any) -> Model:
    named = {name: fields[name] for name in model.model_fields}
    named["created_at"] = datetime.fromisoformat(fields["created_at"])
    # What the store gives has been checked on its way in. Validation would refuse nothing and copy everything.
    value = model.model_construct(**(named | made))
    value._extra = {name: rest for name, rest in fields.items() if name not in model.model_fields}
    return value


def message_of(fields: dict[str, Any]) -> Message:
    """The message that the store has given."""
    return _of(Message, fields)


def action_of(fields: dict[str, Any]) -> ConversationAction:
    """The action that the store has given."""
    return _of(ConversationAction, fields)


def conversation_of(fields: dict[str, Any]) -> Conversation:
    """The conversation that the store has given."""
    messages = [message_of(message) for message in fields["messages"]]
    actions = [action_of(action) for action in fields["actions"]]
    title = fields["title"] or default_title(fields["id"])
    return _of(Conversation, fields, title=title, messages=messages, actions=actions)
