"""The original's store, on this one.

Objects are live: what the store does shows in the objects it gave, and what is changed on them is saved by the next save
of their conversation. A save compares a conversation with what the store knows of it, and appends what differs.
"""

from __future__ import annotations

import copy
import json
import os
import warnings
import weakref
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NoReturn

from ._changes import Known, changes, known_of, looked_at
from ._core import check_directory
from ._errors import AlreadyExists, Closed, InvalidInput, NotFound, Unsupported
from ._json import encode, encode_object
from ._lock import Lock
from ._mirror import Mirror, MirrorMode
from ._models import Conversation, ConversationAction, Message, new_id
from ._reports import CompactionReport, Receipt, RecoveryReport, Stats, VerifyReport
from ._store import COMPACT_ABOVE, Store


class MessageStore:
    """Conversations in memory, or in a directory: ``MessageStore(save_dir="./data")``.

    >>> store = MessageStore()
    >>> conversation = store.create_conversation(title="Plans")
    >>> message = store.add_message(conversation.id, "What shall we do?")
    >>> conversation.messages[0] is message
    True

    The directory is made if it is not there. ``save_dir`` alone says that the store is in files, whatever ``backend_type``
    says; it is made absolute at once. ``mirror`` says when the directory's JSON files are brought up to date:

    ``"always"``, the default
        before each call that saves returns, as the original does it. A save writes the whole file of its conversation, so
        it costs what the conversation is long, and a warning says so once files of many megabytes are written;
    ``"auto"``
        the same for small conversations; in the background for large ones, half a second later or when it has not been
        done for twenty times as long as it takes, at most half a minute, and earlier if much was written;
    ``"close"``
        by :meth:`close` and :meth:`compact`, and when the log is larger than 64 MiB and than the files;
    ``"never"``
        by :meth:`compact` alone.

    What was saved is in the log and durable in any case, as ``sync`` says; see :class:`Store`.
    """

    def __init__(
        self,
        save_dir: str | os.PathLike[str] | None = None,
        backend_type: str = "memory",
        *,
        mirror: MirrorMode = "always",
        sync: Literal["always", "os"] | float = "always",
    ) -> None:
        if mirror not in ("always", "auto", "close", "never"):
            raise InvalidInput(f"mirror must be 'always', 'auto', 'close' or 'never', not {mirror!r}")
        is_in_files = _is_in_files(save_dir, backend_type)
        self._known: dict[str, Known] = {}
        self._lock = Lock(survives_fork=not is_in_files)
        if is_in_files:
            self.save_dir: Path | None = Path(os.path.abspath(os.fspath(save_dir or "")))
            self._store = Store(
                self.save_dir, sync=sync, compact_above=None if mirror == "never" else COMPACT_ABOVE
            )
        else:
            self.save_dir = None
            self._store = Store()
        self._mirror = Mirror(self._store, mirror if is_in_files else "never", self.save_dir)
        # The original's programs end without a word. Their files are complete all the same.
        self._at_exit = weakref.finalize(self, self._mirror.end)
        self.backend = _Backend(self._store)
        self.conversations: MutableMapping[str, Conversation] = _Conversations(self)
        self._warn_of_damage()

    def _warn_of_damage(self) -> None:
        for file in self._store.recovery().damaged:
            whose = file.conversation_id if file.conversation_id is not None else "of nobody knows whom"
            warnings.warn(
                f"conversation {whose!r} cannot be read and is kept as it is: {file.reason}, in {file.path}",
                RuntimeWarning,
                stacklevel=3,
            )

    # The original's methods.

    def create_conversation(
        self,
        title: str | None = None,
        id: str | None = None,
        metadata: dict[str, Any] | None = None,
        *,
        key: str | None = None,
    ) -> Conversation:
        """Begins a conversation and saves it. Without an id it gets a UUID.

        A conversation that has the id is replaced, as the original replaces it: it begins anew in its place, without
        messages. Both are there in the log until it is compacted. A second call with the same ``key`` changes nothing.
        """
        conversation = Conversation(
            id=id or new_id(), title=title or "", metadata=_own("metadata", {} if metadata is None else metadata)
        )
        with self._lock:
            if key is not None:
                return self._create_once(conversation, key, title or None, id or None)
            if conversation.id in self.conversations:
                self._begin_anew(conversation)
            else:
                self._save_conversation(conversation)
        return conversation

    def _begin_anew(self, conversation: Conversation) -> None:
        """Puts an empty conversation in the place of the one that has its id."""
        receipt = self._store.reset(
            conversation.id,
            title=conversation.title,
            metadata=conversation.metadata,
            created_at=conversation.created_at,
        )
        self._known[conversation.id] = looked_at(conversation, version=receipt.version, seq=receipt.seq)
        self._mirror.saved(conversation.id)

    def _create_once(
        self, conversation: Conversation, key: str, title: str | None, id: str | None
    ) -> Conversation:
        # What a retry would make up anew, the id and the title made of it, is left to the store.
        given: dict[str, Any] = {"title": title, "metadata": conversation.metadata, "key": key}
        given["created_at"] = conversation.created_at
        receipt = self._store.create(**given) if id is None else self._store.reset(id, **given)
        live = self._known.get(receipt.conversation_id)
        if live is not None and live.seq < receipt.seq:
            # The object that was there is no longer the conversation.
            del self._known[receipt.conversation_id]
        self._mirror.saved(receipt.conversation_id)
        created = self.get_conversation(receipt.conversation_id)
        if created is None:
            raise NotFound(f"conversation {receipt.conversation_id!r} was created with this key and is gone")
        return created

    def get_conversation(self, conversation_id: str) -> Conversation | None:
        """The conversation, or ``None`` if there is none. Its object is the same one each time."""
        return self.conversations.get(conversation_id)

    def get_all_conversations(self) -> list[Conversation]:
        """All conversations, oldest first. All of them are read into memory; see :class:`Store` for what is not."""
        # One may be removed by another handle meanwhile.
        found = [self.get_conversation(id) for id in self.conversations]
        return [conversation for conversation in found if conversation is not None]

    def get_conversation_messages(self, conversation_id: str) -> list[Message]:
        """The conversation's own list of messages; an empty one if there is no conversation."""
        conversation = self.get_conversation(conversation_id)
        return [] if conversation is None else conversation.messages

    def get_conversation_actions(self, conversation_id: str) -> list[ConversationAction]:
        """The conversation's own list of actions; an empty one if there is no conversation."""
        conversation = self.get_conversation(conversation_id)
        return [] if conversation is None else conversation.actions

    def add_message(
        self,
        conversation_id: str,
        content: str,
        role: str = "user",
        metadata: dict[str, Any] | None = None,
        *,
        key: str | None = None,
        expect: int | None = None,
    ) -> Message:
        """Adds a message and saves it; a conversation that is not there begins with it.

        A second call with the same ``key`` adds nothing and returns the first one's message. ``expect`` raises
        :class:`Conflict` unless the conversation has this version; see :meth:`version`.
        """
        # Order: look at the process before anything is made. Pydantic has a lock of its own, which another thread may
        # have had when this process was forked off.
        self._lock.check()
        metadata = _own("metadata", {} if metadata is None else metadata)
        message = Message(content=content, role=role, metadata=metadata)
        found = self._add(conversation_id, message, key, expect)
        assert isinstance(found, Message)
        return found

    def add_action(
        self,
        conversation_id: str,
        action_type: str,
        data: dict[str, Any],
        metadata: dict[str, Any] | None = None,
        *,
        key: str | None = None,
        expect: int | None = None,
    ) -> ConversationAction:
        """Adds an action and saves it; a conversation that is not there begins with it."""
        self._lock.check()
        metadata = _own("metadata", {} if metadata is None else metadata)
        action = ConversationAction(action_type=action_type, data=_own("data", data), metadata=metadata)
        found = self._add(conversation_id, action, key, expect)
        assert isinstance(found, ConversationAction)
        return found

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values; times are ``datetime`` objects. See :meth:`to_json`."""
        with self._lock:
            found = {id: self.get_conversation(id) for id in self.conversations}
            return {"conversations": {id: each.model_dump() for id, each in found.items() if each is not None}}

    def to_json(self, *, indent: int | None = None) -> str:
        """Everything as JSON text that :meth:`from_json` takes."""
        return json.dumps(json.loads(encode(self.to_dict())), indent=indent)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> MessageStore:
        """A store in memory with what :meth:`to_dict` gave, times as ``datetime``, text or numbers."""
        store = cls()
        for id, fields in data.get("conversations", {}).items():
            conversation = Conversation.model_validate(fields)
            store.conversations[id] = conversation
        store._save_to_backend()
        return store

    @classmethod
    def from_json(cls, text: str | bytes) -> MessageStore:
        """A store in memory with what :meth:`to_json` gave."""
        return cls.from_dict(json.loads(text))

    def _save_conversation(self, conversation: Conversation) -> None:
        """Saves what was changed on a conversation's object, or on one that was made elsewhere.

        An object whose ``id`` was changed is saved whole under the new id and is that conversation's from then on; the
        one with the old id stays as it was last saved. Raises :class:`AlreadyExists` if there is another one with the new id.
        """
        with self._lock:
            id, written = self._save(self._id_of(conversation), conversation)
            if written:
                self._mirror.saved(id, bytes=written)

    def _save_to_backend(self) -> None:
        """Saves what was changed on the objects of all conversations."""
        with self._lock:
            saved: dict[str, int] = {}
            try:
                for key, known in list(self._known.items()):
                    if self._held(key) is not known:
                        continue
                    id, written = self._save(key, known.conversation)
                    if written:
                        saved[id] = written
            finally:
                # One that is refused does not keep the files of those before it waiting.
                if saved:
                    self._mirror.saved(*saved, bytes=sum(saved.values()))

    # What is not the original's.

    def version(self, conversation_id: str) -> int:
        """How many events have made the conversation what it is, for ``expect``; 0 if there is none."""
        summary = self._store.summary(conversation_id)
        return 0 if summary is None else summary.version

    def compact(self) -> CompactionReport:
        """Brings the JSON files up to date and drops the log that they cover."""
        return self._store.compact()

    def verify(self) -> VerifyReport:
        """Reads every byte of every file and says what is wrong where."""
        return self._store.verify()

    def stats(self) -> Stats:
        """How large the store is."""
        return self._store.stats()

    def recovery(self) -> RecoveryReport:
        """What opening the store found."""
        return self._store.recovery()

    def close(self) -> None:
        """Makes everything saved durable, in the JSON files too unless ``mirror="never"``, and ends the store.

        What was changed on objects and not saved is not saved now either.
        """
        with self._lock:
            if self._store.is_closed:
                return
            self._at_exit.detach()
            try:
                self._mirror.close()
            finally:
                self._store.close()

    def __repr__(self) -> str:
        return repr(self._store).replace("store in", "message store in", 1)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a store is not sent to another process; open it there, or send what to_dict() gives")

    def __enter__(self) -> MessageStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # How it is done.

    def _id_of(self, conversation: Conversation) -> str:
        """The id under which the store has this object, which in a store made ``from_dict`` may not be its own."""
        known = self._known.get(conversation.id) if isinstance(conversation.id, str) else None
        if known is not None and known.conversation is conversation:
            return conversation.id
        for id, known in self._known.items():
            if known.conversation is conversation:
                return id
        return conversation.id

    def _find(self, id: str) -> Known | None:
        """The live conversation, read if it is asked for the first time, with what others have added to it since."""
        if self._store.is_closed:
            raise Closed("the store was closed")
        known = self._known.get(id)
        if known is None:
            return self._load(id)
        if known.is_saved:
            summary = self._store.summary(id)
            if summary is None or (not known.is_as(summary) and not self._renew(id, known)):
                # Removed by another handle. What is held of it here is no conversation of this store any more.
                del self._known[id]
                return None
        return known

    def _renew(self, id: str, known: Known) -> bool:
        """Brings a live conversation up to what others have made of it; says whether it is still there."""
        found = self._read(id)
        if found is not None:
            known.take_over(*found)
        return found is not None

    def _read(self, id: str) -> tuple[Conversation, int, int] | None:
        """The conversation, its version, and the number of its last event."""
        # Order: the summary, then the conversation. Reversed, what comes between the two would count as known.
        summary = self._store.summary(id)
        found = self._store._read(id)
        if summary is None or found is None:
            return None
        return (*found, summary.last_seq if summary.version == found[1] else 0)

    def _load(self, id: str) -> Known | None:
        try:
            found = self._read(id)
        except InvalidInput:
            # What cannot be an id is nobody's.
            return None
        if found is None:
            return None
        conversation, version, seq = found
        self._known[id] = looked_at(conversation, version=version, seq=seq)
        return self._known[id]

    def _held(self, id: str) -> Known | None:
        """What is known of a conversation, as it was last looked at; nothing if it was removed since."""
        known = self._known.get(id)
        if known is not None and known.is_saved and id not in self._store:
            del self._known[id]
            return None
        return known or self._load(id)

    def _save(self, id: str, conversation: Conversation) -> tuple[str, int]:
        """Saves an object that the store has under this id; says under which id it then is, and what that appended."""
        known = self._held(id)
        if known is None or not known.is_saved or conversation.id == known.head.id:
            return id, self._write(id, conversation, known)
        new = conversation.id
        if not isinstance(new, str):
            raise InvalidInput(f"a conversation id must be a str, not {type(new).__name__}")
        there = self._held(new)
        if there is not None and there.conversation is not conversation:
            raise AlreadyExists(
                f"conversation {id!r} was given the id {new!r}, which another one has; give it an id that is free, or "
                f"put it in the place of the other one: store.conversations[{new!r}] = conversation; nothing was saved"
            )
        written = self._write(new, conversation, there)
        # What was saved under the old id is read again when it is asked for.
        self._known.pop(id, None)
        return new, written

    def _write(self, id: str, conversation: Conversation, known: Known | None) -> int:
        """Appends what differs, as one batch; says how many bytes that took."""
        if not id:
            raise InvalidInput("a conversation id must not be empty")
        # What is saved and what is known from then on are one look at the objects, which others may be changing.
        now = looked_at(conversation, version=0, like=known)
        mutations = changes(id, now, known)
        now.seq = known.seq if known is not None else 0
        if mutations:
            now.seq = self._store._append("[" + ",".join(mutations) + "]")[-1].seq
        now.version = len(mutations) + (known.version if known is not None else 0)
        self._known[id] = now
        return sum(map(len, mutations))

    def _add(
        self,
        conversation_id: str,
        item: Message | ConversationAction,
        key: str | None,
        expect: int | None,
    ) -> Message | ConversationAction:
        with self._lock:
            if not conversation_id:
                raise InvalidInput("a conversation id must not be empty")
            known = self._find(conversation_id)
            saved: dict[str, int] = {}
            try:
                if known is not None and not (known.is_saved and (expect is not None or known.is_current)):
                    # The original's save is one of the whole conversation, and so takes other changes with it.
                    under, written = self._save(conversation_id, known.conversation)
                    if written:
                        saved[under] = written
                    known = self._known.get(conversation_id)
                receipt = self._append(conversation_id, item, key, expect)
                saved.setdefault(conversation_id, 0)
                known = known or self._find(conversation_id)
                if known is not None and receipt.id == item.id and not known.has(item):
                    saved[conversation_id] += known.add(item, receipt.seq)
                found = known.newest(item, receipt.id) if known is not None else None
            finally:
                # What was saved is saved, whether or not the addition is refused.
                if saved:
                    self._mirror.saved(*saved, bytes=sum(saved.values()))
            if found is None:
                raise NotFound(f"what was added with this key, {receipt.id!r}, has been removed since")
            return found

    def _append(
        self, conversation_id: str, item: Message | ConversationAction, key: str | None, expect: int | None
    ) -> Receipt:
        if isinstance(item, Message):
            return self._store.add_message(
                conversation_id,
                item.content,
                role=item.role,
                metadata=item.metadata,
                id=item.id,
                created_at=item.created_at,
                key=key,
                expect=expect,
            )
        return self._store.add_action(
            conversation_id,
            item.action_type,
            item.data,
            metadata=item.metadata,
            id=item.id,
            created_at=item.created_at,
            key=key,
            expect=expect,
        )


def _is_in_files(save_dir: str | os.PathLike[str] | None, backend_type: str) -> bool:
    """Whether a store is in files, which a directory alone says."""
    if save_dir is not None and os.fspath(save_dir):
        # Before the path is made absolute, which would make a directory's name of a URL.
        check_directory(os.fspath(save_dir))
        if backend_type not in ("memory", "file"):
            # Nothing is lost by it, but whoever named an engine should hear that it is not that one.
            what = f"backend_type {backend_type!r} is not known: the store is in files, in {save_dir!r}"
            warnings.warn(what, UserWarning, stacklevel=3)
        return True
    if backend_type == "file":
        raise InvalidInput("save_dir must be provided when using file backend")
    if backend_type != "memory":
        raise InvalidInput(f"backend_type must be 'memory' or 'file', not {backend_type!r}")
    return False


def _own(what: str, value: Any) -> Any:
    """A copy of metadata or data that the caller cannot change behind the store's back.

    What is no JSON is refused by name here, before anything has changed; what is no mapping, by the model.
    """
    if not isinstance(value, dict):
        return value
    encode_object(what, {str(key): each for key, each in value.items()})
    return copy.deepcopy(value)


class _Backend:
    """What the original's callers ask a backend."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def list_conversation_ids(self) -> list[str]:
        """The ids of the conversations, oldest first."""
        return list(self._store)


class _Conversations(MutableMapping[str, Conversation]):
    """The conversations by their ids, in the order in which they began; each is read when it is first asked for."""

    def __init__(self, store: MessageStore) -> None:
        self._owner = store

    def __getitem__(self, id: str) -> Conversation:
        with self._owner._lock:
            known = self._owner._find(id) if isinstance(id, str) else None
        if known is None:
            raise KeyError(id)
        return known.conversation

    def __setitem__(self, id: str, conversation: Conversation) -> None:
        """Puts an object in the place of a conversation; saving it is another step."""
        with self._owner._lock:
            before = self._owner._held(id)
            self._owner._known[id] = (
                known_of(conversation, version=0) if before is None else before.of(conversation)
            )

    def __delitem__(self, id: str) -> None:
        raise Unsupported("a conversation is not taken away by forgetting it; Store.remove ends it")

    def __contains__(self, id: object) -> bool:
        with self._owner._lock:
            known = self._owner._known.get(id) if isinstance(id, str) else None
            return (known is not None and not known.is_saved) or id in self._owner._store

    def _ids(self) -> list[str]:
        with self._owner._lock:
            saved = list(self._owner._store)
            listed = set(saved)
            return saved + [id for id in self._owner._known if id not in listed and id in self]

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids())

    def __len__(self) -> int:
        return len(self._ids())

    def __repr__(self) -> str:
        return f"<conversations {self._ids()!r}>"
