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
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from ._changes import Known, addition, changes, item_of, looked_at
from ._errors import AlreadyExists, Closed, InvalidInput, NotFound, Unsupported
from ._json import encode, encode_object
from ._key import Key, KeyFile
from ._live import Backend, Conversations, Live
from ._lock import Lock
from ._mirror import Mirror, MirrorMode
from ._models import Conversation, ConversationAction, Message, new_id, new_message
from ._opened import Opened
from ._place import absolute, is_bucket, is_database, shown
from ._store import COMPACT_ABOVE, Store, check_wait
from ._warning import warn

if TYPE_CHECKING:
    from ._reports import CompactionReport, RecoveryReport, Stats, VerifyReport


class MessageStore:
    """Conversations in memory, in a directory, ``MessageStore(save_dir="./data")``, in a database or in a bucket.

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
        in the background, so that a call costs what the log takes: for small conversations a twentieth of a second later,
        for large ones half a second, or when it has not been done for twenty times as long as it takes, at most half a
        second and half a minute, and earlier if much was written;
    ``"close"``
        by :meth:`close` and :meth:`compact`, and when the log is larger than 64 MiB and than the files;
    ``"never"``
        by :meth:`compact` alone.

    What was saved is in the log and durable in any case, as ``sync`` says; see :class:`Store`.

    Where another process has the directory open for writing, this one shows what that one has saved by each call, and its
    own saves raise :class:`Locked` until that one has closed its store or ended; then it saves. Opening it never
    waits; a save waits up to ``wait`` seconds for the other one to end before it raises. With ``read_only`` it shows and never saves, and so keeps nobody from saving.

    ``save_dir="sqlite:agents.db"`` keeps the conversations in an SQLite file, which any number of processes may save to at the
    same time; each shows what the others have saved. It has no JSON files, so ``mirror`` is refused and :meth:`compact`
    raises :class:`Unsupported`; the attribute ``save_dir`` is ``None``. ``save_dir="s3://bucket/prefix"`` keeps them in a bucket, where
    :meth:`compact` alone writes JSON files.

    With ``key`` or ``key_file`` a new directory is encrypted, and one that is encrypted is opened; see :class:`Store`. Without its
    key, or with another one, that raises :class:`KeyRefused`. A function is called at each opening: a store that was only looked
    at, since another process wrote to it, is opened again by its first save. The files are sealed then, so nobody else reads them, and
    ``mirror`` is ``"close"`` unless it is given.
    """

    def __init__(
        self,
        save_dir: str | os.PathLike[str] | None = None,
        backend_type: str = "memory",
        *,
        mirror: MirrorMode | None = None,
        sync: Literal["always", "os"] | float = "always",
        read_only: bool = False,
        wait: float = 0.0,
        key: Key | None = None,
        key_file: KeyFile | None = None,
    ) -> None:
        if mirror not in (None, "always", "auto", "close", "never"):
            raise InvalidInput(f"mirror must be 'always', 'auto', 'close' or 'never', not {mirror!r}")
        # Where nobody else writes it is never used, and a mistake in it would show on the day that it is.
        check_wait(wait)
        place = _place_of(save_dir, backend_type)
        is_in_files = place is not None and not is_database(place)
        if place is not None and not is_in_files and mirror is not None:
            raise InvalidInput("mirror is about JSON files, which a store in a database or a bucket does not keep; leave it out")
        self.save_dir: Path | None = Path(place) if place is not None and is_in_files else None
        self._lock = Lock(survives_fork=place is None)
        compact_above = None if mirror == "never" else COMPACT_ABOVE
        opened = Opened(
            place,
            self._lock,
            sync=sync,
            read_only=read_only,
            wait=wait,
            compact_above=compact_above,
            key=key,
            key_file=key_file,
        )
        self._live = Live(opened, self._lock)
        self._at_exit: weakref.finalize[[], MessageStore] | None = None
        # Of an encrypted store nobody else reads the files, so that they need not be there at each moment.
        usual: MirrorMode = "always" if key is None and key_file is None else "close"
        self._mode: MirrorMode = mirror or usual if is_in_files else "never"
        self._mirror = self._mirror_of("never" if self._live.opened.is_view else self._mode)
        self.backend: Backend = Backend(self._live)
        self.conversations: Conversations = Conversations(self._live)
        self._warn_of_damage()

    def _warn_of_damage(self) -> None:
        for file in self._store._core.recovery()["damaged"]:
            id = file["conversation_id"]
            what = "a file" if id is None else f"conversation {id!r}"
            warn(f"{what} cannot be read and is kept as it is: {file['reason']}, in {file['path']}")

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
            self._begin_to_save()
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
        self._live.known[conversation.id] = looked_at(conversation, version=receipt.version, seq=receipt.seq)
        self._mirror.saved({conversation.id: 0})

    def _create_once(
        self, conversation: Conversation, key: str, title: str | None, id: str | None
    ) -> Conversation:
        # What a retry would make up anew, the id and the title made of it, is left to the store.
        given: dict[str, Any] = {"title": title, "metadata": conversation.metadata, "key": key}
        given["created_at"] = conversation.created_at
        receipt = self._store.create(**given) if id is None else self._store.reset(id, **given)
        live = self._live.known.get(receipt.conversation_id)
        if live is not None and live.seq < receipt.seq:
            # The object that was there is no longer the conversation.
            del self._live.known[receipt.conversation_id]
        self._mirror.saved({receipt.conversation_id: 0})
        created = self.get_conversation(receipt.conversation_id)
        if created is None:
            raise NotFound(f"conversation {receipt.conversation_id!r} was created with this key and is gone")
        return created

    def get_conversation(self, conversation_id: str) -> Conversation | None:
        """The conversation, or ``None`` if there is none. Its object is the same one each time."""
        return self.conversations.get(conversation_id)

    def get_all_conversations(self) -> list[Conversation]:
        """All conversations, oldest first. All of them are read into memory; see :class:`Store` for what is not.

        One that cannot be read is warned of, and the others are given.
        """
        return [conversation for _, conversation in self.conversations.readable()]

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
        message = new_message(content, role, metadata)
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
            return {"conversations": {id: each.model_dump() for id, each in self.conversations.readable()}}

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
            self._begin_to_save()
            id, written = self._save(self._live.id_of(conversation), conversation)
            if written:
                self._mirror.saved({id: written})

    def _save_to_backend(self) -> None:
        """Saves what was changed on the objects of all conversations."""
        with self._lock:
            self._begin_to_save()
            saved: dict[str, int] = {}
            try:
                for key, known in list(self._live.known.items()):
                    if self._live.held(key) is not known:
                        continue
                    id, written = self._save(key, known.conversation)
                    if written:
                        saved[id] = written
            finally:
                # One that is refused does not keep the files of those before it waiting.
                if saved:
                    self._mirror.saved(saved)

    # What is not the original's.

    def version(self, conversation_id: str) -> int:
        """How many events have made the conversation what it is, for ``expect``; 0 if there is none."""
        summary = self._store.summary(conversation_id)
        return 0 if summary is None else summary.version

    def compact(self) -> CompactionReport:
        """Brings the JSON files up to date and drops the log that they cover."""
        with self._lock:
            self._begin_to_save()
            report = self._store.compact()
            self._mirror.wrote(report)
            return report

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
            if self._live.opened.is_closed:
                return
            if self._at_exit is not None:
                self._at_exit.detach()
            try:
                self._mirror.close()
            finally:
                self._store.close()

    def __repr__(self) -> str:
        what = "view of the message store in" if self._live.opened.is_view else "message store in"
        return repr(self._store).replace("store in", what, 1)

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

    @property
    def _store(self) -> Store:
        return self._live.store

    def _begin_to_save(self) -> None:
        """Makes sure that this store may write, which another process may have done until now."""
        if self._live.opened.become_writer():
            self._mirror = self._mirror_of(self._mode)

    def _mirror_of(self, mode: MirrorMode) -> Mirror:
        if self._at_exit is not None:
            self._at_exit.detach()
        mirror = Mirror(self._store, mode, self.save_dir)
        # The original's programs end without a word. Their files are complete all the same.
        self._at_exit = weakref.finalize(self, mirror.end)
        return mirror

    def _save(self, id: str, conversation: Conversation) -> tuple[str, int]:
        """Saves an object that the store has under this id; says under which id it then is, and what that appended."""
        known = self._live.held(id)
        if known is None or not known.is_saved or conversation.id == known.head.id:
            return id, self._write(id, conversation, known)
        new = conversation.id
        if not isinstance(new, str):
            raise InvalidInput(f"a conversation id must be a str, not {type(new).__name__}")
        there = self._live.held(new)
        if there is not None and there.conversation is not conversation:
            raise AlreadyExists(
                f"conversation {id!r} was given the id {new!r}, which another one has; give it an id that is free, or "
                f"put it in the place of the other one: store.conversations[{new!r}] = conversation; nothing was saved"
            )
        written = self._write(new, conversation, there)
        # What was saved under the old id is read again when it is asked for.
        self._live.known.pop(id, None)
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
        self._live.known[id] = now
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
            live = self._live
            # Of a store that was closed the look at the conversation says so.
            if live.opened.is_view:
                self._begin_to_save()
            known = live.known.get(conversation_id)
            saved: dict[str, int] = {}
            told = None
            try:
                # Order: take down what the store will have, then show the object. Reversed, an edit by another thread would count as known.
                added = item_of(item)
                line = addition(conversation_id, item, added, key, expect)
                if known is not None and known.is_saved and known.is_current:
                    # As a rule nothing else has happened to it, and the look is one with the addition.
                    told = live.store._append_known(line, conversation_id, (known.version, known.seq))
                if told is None:
                    known = live.find(conversation_id)
                    if known is not None and not (known.is_saved and (expect is not None or known.is_current)):
                        # The original's save is one of the whole conversation, and so takes other changes with it.
                        under, written = self._save(conversation_id, known.conversation)
                        if written:
                            saved[under] = written
                        known = live.known.get(conversation_id)
                    receipt = live.store._append(line)[0]
                    told = receipt.seq, receipt.id, receipt.version
                seq, id, version = told
                saved[conversation_id] = saved.get(conversation_id, 0) + len(line)
                known = known or live.find(conversation_id)
                if known is not None and id == added.id and not known.has(item):
                    known.add(item, added, seq)
                if known is not None and known.version < version:
                    # Another process has added to the database between the look and the addition.
                    known = live.find(conversation_id)
                found = known.newest(item, id) if known is not None else None
            finally:
                # What was saved is saved, whether or not the addition is refused.
                if saved:
                    self._mirror.saved(saved)
            if found is None:
                raise NotFound(f"what was added with this key, {id!r}, has been removed since")
            return found


def _place_of(save_dir: str | os.PathLike[str] | None, backend_type: str) -> str | None:
    """Where a store is, if it is not in memory: a directory, a database or a bucket says so alone."""
    if save_dir is not None and os.fspath(save_dir):
        place = absolute(save_dir)
        if backend_type not in ("memory", "file"):
            # Nothing is lost by it, but whoever named an engine should hear that it is not that one.
            where = "a bucket" if is_bucket(place) else "a database" if is_database(place) else "files"
            what = f"backend_type {backend_type!r} is not known: the store is in {where}, in {shown(save_dir)!r}"
            warnings.warn(what, UserWarning, stacklevel=3)
        return place
    if backend_type == "file":
        raise InvalidInput("save_dir must be provided when using file backend")
    if backend_type != "memory":
        raise InvalidInput(f"backend_type must be 'memory' or 'file', not {backend_type!r}")
    if save_dir is not None:
        # As the original has it. Whoever built the path of something that was empty should hear of it today.
        warn(f"save_dir is {save_dir!r}, which names no directory: the store is in memory, and nothing of it is kept", UserWarning)
    return None


def _own(what: str, value: Any) -> Any:
    """A copy of metadata or data that the caller cannot change behind the store's back.

    What is no JSON is refused by name here, before anything has changed; what is no mapping, by the model.
    """
    if not isinstance(value, dict):
        return value
    if not value:
        return {}
    encode_object(what, {str(key): each for key, each in value.items()})
    return copy.deepcopy(value)
