"""The store itself, without the original's ways."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NoReturn, overload

from ._consumer import Consumer, ConsumerStatus
from ._core import (
    Core,
    Follower,
    clear_retention,
    consume,
    consumers,
    drop_search_index,
    erase,
    erase_where,
    index_search,
    open_replies,
    prune,
    receipts,
    remnants,
    remove_consumer,
    reset_consumer,
    retention,
    search_index,
    set_retention,
)
from ._core import search as _search
from ._core import stream as _stream
from ._errors import Conflict, Corrupt, InvalidInput, NotFound, check_count
from ._json import decode, encode, encode_object, with_members
from ._key import Key, KeyFile, key_bytes
from ._place import shown
from ._receipts import Found, Receipt, SearchIndex, Summary
from ._reply import OpenReply, Reply

if TYPE_CHECKING:
    # The models need pydantic, which takes longer to import than everything else. So what gives models imports them when it does.
    from ._models import Conversation, ConversationAction, Message
    from ._removal import ErasureReport, KeptReceipt, PruneReport, Remnant, StoredRetention, WhereReport
    from ._reports import CompactionReport, ExportReport, RecoveryReport, Stats, VerifyReport

#: A log of more bytes than this, and than the JSON files have, is compacted in the background.
COMPACT_ABOVE = 64 << 20


class Store:
    """A store of conversations: in a directory, in the database or the bucket that a URL names, or in memory without any.

    What it gives are values: changing them changes nothing in the store. Every method may be called from any thread,
    and lets the interpreter's other threads go on meanwhile. When a method that changes something returns, the change
    is as durable as ``sync`` says:

    ``"always"``
        on the device;
    a number of seconds
        on the device within so long; a kill of the process loses nothing;
    ``"os"``
        on the device when the operating system likes; a kill of the process loses nothing.

    >>> with Store() as store:
    ...     receipt = store.add_message("c1", "Hello, world!")
    ...     store.messages("c1", last=1)[0].content
    'Hello, world!'

    With ``read_only`` it may be open beside a writer in another process, and shows what was there when it was opened,
    and what came later after a :meth:`refresh`; :meth:`follow` gives that event by event. A log of more bytes than ``compact_above``, and than the JSON files have, is compacted
    in the background, unless that is ``None``.

    A message that comes with an id which another one of its conversation has is added all the same, and edits and
    removals mean the later one; so with actions. With ``unique_ids="refuse"`` it raises :class:`AlreadyExists`. With
    ``unique_ids="existing"`` it counts as added if what is there is the same, ids and times aside, and raises if it is not;
    the receipt has the conversation's version and newest event by now. It is a rule of this store object alone.

    >>> store = Store(unique_ids="existing")
    >>> store.add_message("c1", "Hello!", id="m1") == store.add_message("c1", "Hello!", id="m1")
    True

    ``keep`` chooses how much of what was is kept beyond the newest compaction, to be looked back on with
    ``aral-store log``, ``show --at`` and ``undo``: ``"everything"``, ``"nothing"``, a span such as ``"30d"``, a size such as
    ``"256MiB"``, or ``"30d,256MiB"`` for whichever is more, which is what a store keeps that was told nothing. The choice stays with the store, takes the place of the one before, and
    what is not to be kept any more is dropped at once. A database of SQL keeps every event. An opening for reading, and a store with no choice, refuse any other than theirs.

    With ``key`` a new store in a directory is encrypted, and one that is encrypted is opened: 32 bytes, a text of 64 hexadecimal
    digits, or a function that is called for one of them; ``key_file`` names a file that has it. Without its key, or with another one, opening raises
    :class:`KeyRefused`. A store that is not encrypted, and a database, is refused with a key. :func:`rekey` gives another one.

    With ``salvage`` it is open for reading only, also if it is damaged: it shows what :func:`repair` would save, and
    writes nothing; what it could not save is in ``recovery().salvage``.

    Opening raises :class:`Locked` if another process writes to the directory and goes on for longer than ``wait``
    seconds, which it does not wait for unless told to, and :class:`Corrupt` if durable bytes of
    the log are damaged; nothing has been changed then. What opening found is in :meth:`recovery`.

    ``"sqlite:agents.db"`` is an SQLite file, which any number of processes may write at the same time; each waits for the
    others for 30 seconds, or ``wait`` if that is more. There is nothing to compact, to accept or to salvage there: that raises
    :class:`Unsupported`. A process that is forked off while the database is open cannot open it; see :class:`Forked`.

    ``"s3://bucket/prefix"``, ``"gs://bucket/prefix"`` and ``"az://container/prefix?account=name"`` are places in buckets, which any number of
    processes on any machines may write. :meth:`compact` makes the next opening short, and nothing does so by itself.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        sync: Literal["always", "os"] | float = "always",
        read_only: bool = False,
        compact_above: int | None = COMPACT_ABOVE,
        unique_ids: Literal["refuse", "existing"] | None = None,
        salvage: bool = False,
        wait: float = 0.0,
        keep: str | None = None,
        key: Key | None = None,
        key_file: KeyFile | None = None,
    ) -> None:
        # A bool is a number to Python, and would be an interval of one second.
        if isinstance(sync, bool) or not isinstance(sync, (str, int, float)):
            raise InvalidInput(f'sync must be "always", "os", or a number of seconds above 0, not {sync!r}')
        if path is not None and not os.fspath(path):
            raise InvalidInput("the path of a store must not be empty; without a path it is in memory")
        if path is None and (read_only or salvage):
            raise InvalidInput("a store in memory begins empty, and would stay so if it were for reading only")
        if keep is not None and not isinstance(keep, str):
            raise InvalidInput(f"keep must be a text such as \"30d\", not {keep!r}")
        if path is None and keep is not None:
            raise InvalidInput("a store in memory keeps no history")
        if path is None and (key is not None or key_file is not None):
            raise InvalidInput("a store in memory is not encrypted; give the path of its directory, or leave the key away")
        check_wait(wait)
        check_count("compact_above", compact_above)
        self._path = path
        self._core = Core(
            path,
            sync=sync,
            read_only=read_only,
            compact_above=compact_above,
            unique_ids=unique_ids,
            salvage=salvage,
            wait=wait,
            keep=keep,
            key=key_bytes(key, key_file),
        )

    def __repr__(self) -> str:
        where = "memory" if self._path is None else repr(shown(self._path))
        return f"<{'closed ' if self.is_closed else ''}store in {where}>"

    # Mutations.

    def create(
        self,
        id: str | None = None,
        *,
        title: str | None = None,
        metadata: dict[str, Any] | None = None,
        created_at: datetime | None = None,
        key: str | None = None,
    ) -> Receipt:
        """Begins a conversation; without an id it gets a UUID. Raises :class:`AlreadyExists` if there is one with the id.

        >>> Store().create("c1", title="Plans").conversation_id
        'c1'
        """
        if id == "":
            raise InvalidInput("a conversation id must not be empty")
        return self._one(
            "create_conversation", id, title=title, created_at=created_at, key=key, metadata=metadata
        )

    def reset(
        self,
        conversation_id: str,
        *,
        title: str | None = None,
        metadata: dict[str, Any] | None = None,
        created_at: datetime | None = None,
        key: str | None = None,
        expect: int | None = None,
    ) -> Receipt:
        """Begins a conversation anew, in its place: without messages and actions, and with these fields instead of its own.

        One that does not exist begins. Additions behind it in one :meth:`batch` replace the whole conversation at once.

        >>> store = Store()
        >>> receipt = store.add_message("c1", "a first try")
        >>> receipts = store.batch([
        ...     {"type": "reset_conversation", "conversation_id": "c1", "title": "Plans"},
        ...     {"type": "add_message", "conversation_id": "c1", "content": "a better one"},
        ... ])
        >>> [message.content for message in store.messages("c1")], receipts[-1].version
        (['a better one'], 3)
        """
        return self._one(
            "reset_conversation",
            conversation_id,
            title=title,
            created_at=created_at,
            key=key,
            expect=expect,
            metadata=metadata,
        )

    def add_message(
        self,
        conversation_id: str,
        content: str,
        *,
        role: str = "user",
        metadata: dict[str, Any] | None = None,
        id: str | None = None,
        created_at: datetime | None = None,
        key: str | None = None,
        expect: int | None = None,
    ) -> Receipt:
        """Adds a message at the end of a conversation, which begins with it if there is none.

        A second call with the same ``key`` changes nothing and gets the first one's receipt. ``expect`` refuses the
        call with :class:`Conflict` unless the conversation has this version, 0 meaning that there is none.

        >>> store = Store()
        >>> first = store.add_message("c1", "once", key="request-7")
        >>> first == store.add_message("c1", "once", key="request-7")
        True
        """
        return self._one(
            "add_message",
            conversation_id,
            content=content,
            role=role,
            id=id,
            created_at=created_at,
            key=key,
            expect=expect,
            metadata=metadata,
        )

    def add_action(
        self,
        conversation_id: str,
        action_type: str,
        data: dict[str, Any],
        *,
        metadata: dict[str, Any] | None = None,
        id: str | None = None,
        created_at: datetime | None = None,
        key: str | None = None,
        expect: int | None = None,
    ) -> Receipt:
        """Adds an action at the end of a conversation, which begins with it if there is none."""
        return self._one(
            "add_action",
            conversation_id,
            action_type=action_type,
            id=id,
            created_at=created_at,
            key=key,
            expect=expect,
            data=data,
            metadata=metadata,
        )

    def set_title(self, conversation_id: str, title: str, *, expect: int | None = None) -> Receipt:
        """Replaces the title; ``""`` brings the default one back."""
        return self._one("set_title", conversation_id, title=title, expect=expect)

    def set_metadata(
        self, conversation_id: str, metadata: dict[str, Any], *, expect: int | None = None
    ) -> Receipt:
        """Replaces the conversation's metadata."""
        return self._one("set_metadata", conversation_id, metadata=metadata, expect=expect)

    def set_created_at(self, conversation_id: str, created_at: datetime, *, expect: int | None = None) -> Receipt:
        """Replaces the conversation's time of creation."""
        return self._one("set_created_at", conversation_id, created_at=created_at, expect=expect)

    def edit_message(
        self,
        conversation_id: str,
        message_id: str,
        *,
        content: str | None = None,
        role: str | None = None,
        created_at: datetime | None = None,
        metadata: dict[str, Any] | None = None,
        expect: int | None = None,
    ) -> Receipt:
        """Changes what is given of the last message with this id, which keeps its place."""
        return self._one(
            "edit_message",
            conversation_id,
            message_id=message_id,
            content=content,
            role=role,
            created_at=created_at,
            metadata=metadata,
            expect=expect,
        )

    def edit_action(
        self,
        conversation_id: str,
        action_id: str,
        *,
        action_type: str | None = None,
        data: dict[str, Any] | None = None,
        created_at: datetime | None = None,
        metadata: dict[str, Any] | None = None,
        expect: int | None = None,
    ) -> Receipt:
        """Changes what is given of the last action with this id, which keeps its place."""
        return self._one(
            "edit_action",
            conversation_id,
            action_id=action_id,
            action_type=action_type,
            data=data,
            created_at=created_at,
            metadata=metadata,
            expect=expect,
        )

    def stream(
        self,
        conversation_id: str,
        content: str = "",
        *,
        role: str = "assistant",
        id: str | None = None,
        metadata: dict[str, Any] | None = None,
        every: float = 0.0,
        bytes: int = 1,
    ) -> Reply:
        """Begins a message that is written piece by piece: everybody can read what has come, and its metadata have
        ``"partial": True`` until it is finished.

        As a context manager it is finished at the end, and left partial by an exception. Each piece is as durable as any other change when
        :meth:`Reply.append` returns, unless pieces are gathered: until they have so many ``bytes`` or, looked at with each piece, the last
        one that was written is ``every`` seconds ago.

        Raises :class:`AlreadyExists` if the conversation has a message with the ``id``.

        >>> store = Store()
        >>> with store.stream("c1", id="m1") as reply:
        ...     for piece in ("Hello", ", world!"):
        ...         receipt = reply.append(piece)
        ...     store.messages("c1")[0].metadata
        ...     reply.metadata["stop_reason"] = "end_turn"
        {'partial': True}
        >>> message = store.messages("c1")[0]
        >>> message.content, message.metadata
        ('Hello, world!', {'stop_reason': 'end_turn'})
        """
        begins = (content, role, id, encode_object("metadata", metadata or {}))
        return Reply(_stream(self._core, conversation_id, (begins, None), _gathers(bytes, every)))

    def resume(
        self, conversation_id: str, message_id: str, *, every: float = 0.0, bytes: int = 1
    ) -> Reply:
        """Goes on with a message of :meth:`stream` that nobody has finished, here or in another process, or to finish or abandon it.

        Raises :class:`Conflict` if it is not partial. Whoever else still writes it gets that, too, with the next piece.

        >>> store = Store()
        >>> reply = store.stream("c1", "Hel", id="m1")
        >>> reply.close()
        >>> with store.resume("c1", "m1") as reply:
        ...     receipt = reply.append("lo.")
        >>> store.messages("c1")[0].content
        'Hello.'
        """
        return Reply(_stream(self._core, conversation_id, (None, message_id), _gathers(bytes, every)))

    def remove_message(self, conversation_id: str, message_id: str, *, expect: int | None = None) -> Receipt:
        """Takes the last message with this id away."""
        return self._one("remove_message", conversation_id, message_id=message_id, expect=expect)

    def remove_action(self, conversation_id: str, action_id: str, *, expect: int | None = None) -> Receipt:
        """Takes the last action with this id away."""
        return self._one("remove_action", conversation_id, action_id=action_id, expect=expect)

    def clear(self, conversation_id: str, *, expect: int | None = None) -> Receipt:
        """Takes all messages and actions of a conversation away; its title and metadata stay."""
        return self._one("clear", conversation_id, expect=expect)

    def remove(self, conversation_id: str, *, expect: int | None = None) -> Receipt:
        """Ends a conversation. Its file goes at the next compaction."""
        return self._one("remove_conversation", conversation_id, expect=expect)

    def batch(self, mutations: Iterable[Mapping[str, Any]]) -> list[Receipt]:
        """Carries several mutations out as one: all of them happen or none. Returns a receipt for each.

        A mutation is a mapping with the fields that the command ``append`` takes.

        >>> store = Store()
        >>> receipts = store.batch([
        ...     {"type": "create_conversation", "conversation_id": "c1", "title": "Plans"},
        ...     {"type": "add_message", "conversation_id": "c1", "content": "What shall we do?"},
        ... ])
        >>> [receipt.version for receipt in receipts]
        [1, 2]
        """
        given = list(mutations)
        for mutation in given:
            if not isinstance(mutation, Mapping):
                raise InvalidInput(f"a batch takes mutations, which are mappings, not {type(mutation).__name__}")
        return self._append(encode([dict(mutation) for mutation in given]))

    def fork(
        self,
        conversation_id: str,
        *,
        through: str | None = None,
        before: str | None = None,
        at: int | datetime | None = None,
        version: int | None = None,
        id: str | None = None,
        title: str | None = None,
    ) -> Receipt:
        """Begins a conversation with the past of another one, up to the message ``through`` and with it, or ``before`` one and
        without it; all of it if neither is given. From there on each goes its own way, and its metadata say under ``forked_from``
        where it comes from.

        ``at`` and ``version`` take what the conversation was after an event, by a time, or at a version, as far as that is kept.
        Raises :class:`AlreadyExists` if there is a conversation with the ``id``, as a second try finds it.

        >>> store = Store()
        >>> receipt = store.add_message("c1", "What shall we build?", id="m1")
        >>> receipt = store.add_message("c1", "A bridge.", role="assistant", id="m2")
        >>> store.fork("c1", through="m1", id="c2").conversation_id
        'c2'
        >>> receipt = store.add_message("c2", "A store.", role="assistant")
        >>> [message.content for message in store.messages("c2")]
        ['What shall we build?', 'A store.']
        >>> store["c2"].metadata["forked_from"]
        {'conversation_id': 'c1', 'version': 2, 'message_id': 'm1'}
        """
        given: list[tuple[str, str]] = []
        if through is not None:
            given.append(("through", through))
        if before is not None:
            given.append(("before", before))
        if version is not None:
            given.append(("version", str(int(version))))
        if isinstance(at, datetime):
            given.append(("time", _time("at", at) or ""))
        elif at is not None:
            given.append(("seq", str(int(at))))
        if len(given) > 1:
            raise InvalidInput("through, before, at and version exclude each other")
        return Receipt(*self._core.fork(conversation_id, given[0] if given else None, (id, title)))

    def _one(self, kind: str, conversation_id: str | None, **fields: Any) -> Receipt:
        given = {name: value for name, value in fields.items() if value is not None}
        objects = {
            name: encode_object(name, given.pop(name)) for name in ("data", "metadata") if name in given
        }
        head: dict[str, Any] = {"type": kind}
        if conversation_id is not None:
            head["conversation_id"] = conversation_id
        return self._append(with_members(head | given, **objects))[0]

    def _append(self, line: str) -> list[Receipt]:
        return [Receipt(*row) for row in self._core.append(line)]

    def _append_known(self, line: str, conversation_id: str, known: tuple[int, int]) -> tuple[int, str, int] | None:
        """The same of one mutation, if the conversation has this version and this newest event; nothing happens if it has not.

        Of the receipt ``seq``, ``id`` and ``version``.
        """
        return self._core.append_known(line, conversation_id, known)

    # Reading.

    def __getitem__(self, conversation_id: str) -> Conversation:
        """The conversation with everything in it; :class:`NotFound`, a ``KeyError``, if there is none."""
        found = self._read(conversation_id)
        if found is None:
            raise NotFound(f"there is no conversation {conversation_id!r}")
        return found[0]

    def get(self, conversation_id: str, default: Any = None) -> Any:
        """The conversation with everything in it, or ``default`` if there is none."""
        found = self._read(conversation_id)
        return default if found is None else found[0]

    def _read(self, conversation_id: str) -> tuple[Conversation, int] | None:
        """The conversation and its version."""
        found = self._core.conversation(conversation_id)
        from ._models import conversation_of

        if found is None:
            return None
        return conversation_of(decode(found[0], _whole(conversation_id))), found[1]

    def __contains__(self, conversation_id: object) -> bool:
        """Whether there is such a conversation, also one that cannot be read."""
        if not isinstance(conversation_id, str):
            return False
        try:
            return self._core.summary(conversation_id) is not None
        except InvalidInput:
            return False
        except Corrupt:
            # It is there, and reading it says why it cannot be read.
            return True

    def __iter__(self) -> Iterator[str]:
        """The ids of the conversations that can be read, oldest first; no message is read."""
        return iter([summary.id for summary in self.summaries()])

    def __len__(self) -> int:
        """How many conversations can be read."""
        return int(self._core.stats()["conversations"])

    def __bool__(self) -> bool:
        """A store is one, even if it is empty."""
        return True

    def values(self) -> Iterator[Conversation]:
        """The conversations, oldest first, each read when its turn comes."""
        for id in self:
            conversation = self.get(id)
            # One that was removed since is no longer there to be given.
            if conversation is not None:
                yield conversation

    def summary(self, conversation_id: str) -> Summary | None:
        """What a list shows of a conversation, without reading its messages."""
        row = self._core.summary(conversation_id)
        return None if row is None else Summary._of(row)

    def summaries(
        self,
        *,
        by: Literal["created", "activity"] = "created",
        limit: int | None = None,
        after: Summary | str | None = None,
    ) -> list[Summary]:
        """What a list shows: as they were created, oldest first, or by activity, newest first.

        ``after`` gives what stands behind a conversation. Pages stay what they are while others append, if each begins
        behind the last summary of the one before: in the order of activity a conversation that changes meanwhile moves to
        the front, and is not listed twice. An id instead means the place that the conversation has now. Raises
        :class:`NotFound` if it is no longer there.

        >>> store = Store()
        >>> for id in ("a", "b", "c"):
        ...     receipt = store.add_message(id, "Hi!")
        >>> page = store.summaries(by="activity", limit=2)
        >>> [summary.id for summary in page + store.summaries(by="activity", limit=2, after=page[-1])]
        ['c', 'b', 'a']

        Conversations whose files are damaged are not among them but in :meth:`recovery`.
        """
        if by not in ("created", "activity"):
            raise InvalidInput(f"by must be 'created' or 'activity', not {by!r}")
        check_count("limit", limit)
        if isinstance(after, Summary):
            place: Any = (after.id, (after.last_seq, after.last_activity.isoformat()))
        else:
            place = None if after is None else (after, None)
        rows = self._core.summaries(by_activity=by == "activity", limit=limit, after=place)
        return [Summary._of(row) for row in rows]

    def messages(
        self,
        conversation_id: str,
        *,
        first: int | None = None,
        last: int | None = None,
        place: int | None = None,
        before: str | None = None,
        after: str | None = None,
        role: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        whole_turns: bool = False,
    ) -> list[Message]:
        """A selection of a conversation's messages, oldest first; only these are read.

        ``before`` and ``after`` take a message's id, the last one's that has it, and leave it out; ``place`` takes the
        number of messages to leave out at the beginning. ``since`` leaves out what is of an earlier time, and ``until``
        what is not: a time without an offset, given or stored, is taken as UTC, and the order stays that of the
        conversation.

        With ``whole_turns`` a model's provider accepts what comes: it begins with a message of the user, and no result
        of a tool is cut off from its call. ``last=20`` then means at most so many messages, but the newest turn at
        least, even if that alone is longer; a turn is of the time of the message that it begins with.
        It excludes ``role``.

        >>> store = Store()
        >>> for text in ("one", "two", "three"):
        ...     receipt = store.add_message("c1", text)
        >>> newest = store.messages("c1", last=2)
        >>> [message.content for message in newest]
        ['two', 'three']
        >>> [message.content for message in store.messages("c1", last=2, before=newest[0].id)]
        ['one']
        """
        for name, count in (("first", first), ("last", last), ("place", place)):
            check_count(name, count)
        times = (_time("since", since), _time("until", until))
        text = self._core.messages(
            conversation_id, (first, last, place, before, after, role, *times, bool(whole_turns))
        )
        from ._models import message_of

        return [message_of(fields) for fields in decode(text, _whole(conversation_id))]

    def search(
        self,
        query: str,
        *,
        conversation_id: str | None = None,
        role: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        order: Literal["newest", "best"] = "newest",
        limit: int | None = None,
    ) -> list[Found]:
        """The messages in which all of a query occurs, newest first, or with ``order="best"`` by their :attr:`Found.score`.

        A query is words, ``"phrases in quotes"``, whose words stand next to each other, and beginnings of words with a star,
        as in ``tomorr*``. Capital and small letters are the same, accents count, and punctuation does not. What is found is
        the same in every store. ``role:user`` leaves messages of that role, and ``tool:grep`` those that call a tool of that name
        or have what it gave back, as their metadata say; a name with blanks stands in quotes, ``tool:"read file"``. Any other word
        with a colon is a phrase, and so is ``"role:user"`` in quotes. In a database its own full-text index proposes messages, and
        in a directory the one of :meth:`index_search`, if there is one; elsewhere every message is read.
        ``since`` and ``until`` mean what they mean to :meth:`messages`.

        >>> store = Store()
        >>> receipt = store.add_message("c1", "Will it rain tomorrow?")
        >>> receipt = store.add_message("c1", "Take an umbrella: Rain from ten on.", role="assistant")
        >>> [(found.place, found.role) for found in store.search("rain")]
        [(1, 'assistant'), (0, 'user')]
        >>> snippet = store.search('"it rain" tomorr*', limit=1)[0].snippet
        >>> [snippet.text[begin:end] for begin, end in snippet.hits]
        ['it rain', 'tomorrow']
        >>> [found.place for found in store.search("rain", order="best", limit=1)]
        [0]
        >>> [found.place for found in store.search("rain role:assistant")]
        [1]

        Raises :class:`InvalidInput` for a query that is empty or malformed, and :class:`Corrupt` if a conversation cannot be
        read: the others can be searched one by one.
        """
        check_count("limit", limit)
        if order not in ("newest", "best"):
            raise InvalidInput(f'order must be "newest" or "best", not {order!r}')
        narrowed = (conversation_id, role, _time("since", since), _time("until", until), limit, order == "best")
        return [Found._of(decode(line, "a hit")) for line in _search(self._core, query, narrowed)]

    def index_search(self) -> SearchIndex:
        """Brings the index for searching a directory up to its newest event, making one if there is none.

        It is a file beside the log, is made of it, and may be removed at any time. Searches use it as soon as there is one, find what
        they would find without it, and read themselves what has changed since. It takes no lock: others may write meanwhile.

        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as directory, Store(directory) as store:
        ...     receipt = store.add_message("c1", "Will it rain?")
        ...     (store.search_index(), store.index_search().last_seq, len(store.search("rain")), store.drop_search_index())
        (None, 1, 1, True)

        Raises :class:`Unsupported` for a store that is in no directory, since databases have an index of their own, and for an
        encrypted one, whose words would stand in it; :class:`InvalidInput` for a damaged one; :class:`Conflict` if somebody else
        does the same at the moment, or erases something.
        """
        return SearchIndex(*index_search(self._core))

    def search_index(self) -> SearchIndex | None:
        """The index for searching a directory; ``None`` if there is none that can be used. See :meth:`index_search`."""
        found = search_index(self._core)
        return None if found is None else SearchIndex(*found)

    def drop_search_index(self) -> bool:
        """Removes the index for searching a directory. Whether there was one. See :meth:`index_search`."""
        return drop_search_index(self._core)

    def iter_messages(self, conversation_id: str, *, page: int = 200) -> Iterator[Message]:
        """All messages of a conversation, oldest first, read so many at a time.

        What is added meanwhile comes too. Raises :class:`Conflict` if messages before the place that was reached are
        taken away meanwhile, since others would be passed over then.

        >>> store = Store()
        >>> for text in ("one", "two", "three"):
        ...     receipt = store.add_message("c1", text)
        >>> [message.content for message in store.iter_messages("c1", page=2)]
        ['one', 'two', 'three']
        """
        newest: Message | None = None
        place = 0
        while True:
            found = _next_page(self, conversation_id, newest, place, page)
            if not found:
                return
            yield from found
            newest, place = found[-1], place + len(found)

    def actions(self, conversation_id: str) -> list[ConversationAction]:
        """A conversation's actions, oldest first."""
        from ._models import action_of

        text = self._core.actions(conversation_id)
        return [action_of(fields) for fields in decode(text, _whole(conversation_id))]

    def events(self, start: int = 1) -> Iterator[dict[str, Any]]:
        """The events from a sequence number on that the log still holds, as ``append`` takes them, plus ``seq``.

        They are read batch by batch. What a compaction has dropped is left out here; :meth:`follow` tells of it.
        """
        return (event for event in self.follow(start, wait=False) if event["type"] != "compacted")

    def follow(self, start: int = 1, *, wait: bool = True, every: float = 0.05) -> Iterator[dict[str, Any]]:
        """The events from a sequence number on, and those that are added later, by this process or another one.

        They are as :meth:`batch` takes them, plus ``seq``. In the place of those that a compaction has dropped comes
        one ``{"type": "compacted", "first": ..., "last": ...}``. Looks for more ``every`` so many seconds, until the
        store is closed; without ``wait`` it ends where there is nothing more. A store that was opened with ``read_only``
        shows here what a writer in another process adds.

        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as directory, Store(directory) as store:
        ...     receipt = store.add_message("c1", "Hello, world!")
        ...     [(event["seq"], event["content"]) for event in store.follow(wait=False)]
        [(1, 'Hello, world!')]
        """
        follower = self._follower(start)
        while not self.is_closed:
            found = follower.next()
            if found is not None:
                yield from _events(found)
            elif wait:
                time.sleep(every)
            else:
                return

    def _follower(self, start: int) -> Follower:
        check_count("start", start)
        return self._core.follow(start)

    def consumer(
        self,
        name: str,
        *,
        begin: int | Literal["start", "now"] = "start",
        conversations: Iterable[str] = (),
        kinds: Iterable[str] = (),
    ) -> Consumer:
        """Reads the log as the consumer of this name, from behind what it has acknowledged.

        A new one begins at ``begin``: with the oldest event that the log has, with what comes from now on, or with the event of that
        number. Only events of these ``conversations`` and ``kinds``, such as ``"add_message"``, are given, if any are named; others count as acknowledged. Of a
        directory, a store that was opened with ``read_only`` can consume too, beside the process that writes. One reads
        under a name at a time; another one is told who, by :class:`Locked`.
        """
        for given, one in ((conversations, "conversation ids"), (kinds, "kinds")):
            if isinstance(given, str):
                # Its letters would be taken for them, and what they leave out counts as acknowledged.
                raise InvalidInput(f"several {one} are taken, such as [{given!r}]")
        narrowed = (list(conversations), list(kinds))
        return Consumer(consume(self._core, name, _begin_of(begin), narrowed), name)

    def open_replies(self, conversation: str | None = None) -> list[OpenReply]:
        """The messages that were begun by :meth:`stream` and neither finished nor abandoned, of a conversation or of all of them.

        They are still being written, or a crash, a kill or an exception has left them: :meth:`resume` goes on with one. Every message is
        looked at, as by a search.
        """
        return [OpenReply._of(*fields) for fields in open_replies(self._core, conversation)]

    def consumers(self) -> list[ConsumerStatus]:
        """The consumers that there are, and how far each has come."""
        return [ConsumerStatus(*status) for status in consumers(self._core)]

    def reset_consumer(self, name: str, begin: int | Literal["start", "now"]) -> int:
        """Has a consumer go on elsewhere, wherever it was; gives up to which event it counts as having acknowledged then."""
        return reset_consumer(self._core, name, _begin_of(begin))

    def remove_consumer(self, name: str) -> None:
        """Removes a consumer."""
        remove_consumer(self._core, name)

    # Taking away.

    def prune(
        self,
        *,
        older_than: datetime | timedelta | None = None,
        keep_last: int | None = None,
        conversations: Iterable[str] = (),
        dry_run: bool = False,
    ) -> PruneReport:
        """Takes away what is older than what is to be kept, or says with ``dry_run`` what that would be.

        ``older_than`` means conversations that were last active before a time, or so long ago; ``keep_last`` leaves so many of the
        newest messages in each of them, and whole turns, where without it the conversation is removed. With ``keep_last`` alone
        every conversation is meant; with ``conversations`` these alone. It goes by events like any other, which :meth:`follow` gives.
        Whatever somebody changes meanwhile stays, and is named. With neither it goes by what :meth:`set_retention` has the store remember, and
        raises :class:`InvalidInput` if that is nothing.

        >>> store = Store()
        >>> for text in ("one", "two", "three"):
        ...     receipt = store.add_message("c1", text)
        >>> store.prune(keep_last=2, dry_run=True).pruned[0].messages
        1
        >>> report = store.prune(keep_last=2)
        >>> [message.content for message in store.messages("c1")]
        ['two', 'three']
        """
        from ._removal import Pruned, PruneReport, before

        if isinstance(conversations, str):
            raise InvalidInput(f"several conversation ids are taken, such as [{conversations!r}]")
        check_count("keep_last", keep_last)
        rows, changed, unread = prune(self._core, before(older_than), keep_last, list(conversations), dry_run)
        return PruneReport([Pruned(*row) for row in rows], changed, unread)

    def set_retention(
        self,
        conversation_id: str | None = None,
        *,
        older_than: timedelta | None = None,
        keep_last: int | None = None,
        keep_everything: bool = False,
    ) -> Receipt:
        """Has the store remember what is kept of a conversation, or of all that have no policy of their own; :meth:`prune` goes by it when it
        is called without one. Nothing is taken away by this.

        A conversation's policy is in its metadata, under ``aral_store_retention``, and goes with them; that of the store is in those of the
        conversation ``aral-store-retention``.

        >>> store = Store()
        >>> for text in ("one", "two", "three"):
        ...     receipt = store.add_message("c1", text)
        >>> receipt = store.set_retention(keep_last=2)
        >>> store.prune().pruned[0].messages, store.retention().store
        (1, RetentionPolicy(older_than=None, keep_last=2))
        """
        if keep_everything == (older_than is not None or keep_last is not None):
            raise InvalidInput("say how old what goes is, how many messages stay, or that everything is kept")
        if older_than is not None and not isinstance(older_than, timedelta):
            raise InvalidInput(f"older_than takes a timedelta, not {older_than!r}")
        check_count("keep_last", keep_last)
        seconds = None if older_than is None else older_than.total_seconds()
        return Receipt(*set_retention(self._core, conversation_id, seconds, keep_last))

    def clear_retention(self, conversation_id: str | None = None) -> Receipt | None:
        """Has the store forget the policy of a conversation, or its own; ``None`` if there was none."""
        row = clear_retention(self._core, conversation_id)
        return None if row is None else Receipt(*row)

    def retention(self) -> StoredRetention:
        """The policies that the store remembers: its own, and those of conversations, of which the head of each is read."""
        from ._removal import RetentionPolicy, StoredRetention

        of_all, of, unread = retention(self._core)
        own = None if of_all is None else RetentionPolicy._of(of_all)
        return StoredRetention(own, {id: RetentionPolicy._of(row) for id, row in of.items()}, unread)

    @overload
    def erase(
        self, conversation_id: str, message_id: str | None = None, *, where: None = None, dry_run: bool = False
    ) -> ErasureReport: ...

    @overload
    def erase(
        self, conversation_id: None = None, message_id: None = None, *, where: str, dry_run: bool = False
    ) -> WhereReport: ...

    def erase(
        self,
        conversation_id: str | None = None,
        message_id: str | None = None,
        *,
        where: str | None = None,
        dry_run: bool = False,
    ) -> ErasureReport | WhereReport:
        """Erases a conversation, or every message of one that has or had an id, from every file of the store, or says with
        ``dry_run`` what that would take. Nothing brings it back.

        The whole log is compacted for it, and the history that is kept is written anew. Stopped at any moment, it is gone on with
        when the store is next opened for writing. What is not the store's own is named in the report and left. Raises
        :class:`NotFound` if nothing that is kept tells of it, and :class:`Unsupported` where nothing can be erased.

        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as directory, Store(directory) as store:
        ...     receipt = store.add_message("c1", "Nobody is to read this any more.")
        ...     report = store.erase("c1")
        ...     report.messages, "c1" in store, store.check_receipt(report.receipt)
        (1, False, [])

        With ``where`` instead of ids it erases every conversation whose metadata say so, and of the others every message: as they are
        now or, of what was removed and is still kept, were last. Conditions are one or more of ``metadata.NAME = VALUE``, joined by ``and``, where a
        value is a JSON string, a number, ``true``, ``false`` or ``null``; write it with :func:`json.dumps` where it comes from elsewhere. One is
        erased after the other, each with a receipt of its own; an error in between says how many were, and the same call goes on with the rest.

        >>> with tempfile.TemporaryDirectory() as directory, Store(directory) as store:
        ...     receipt = store.create("c1", metadata={"user": "anna"})
        ...     report = store.erase(where='metadata.user = "anna"')
        ...     [each.conversation_id for each in report.erased], len(store)
        (['c1'], 0)
        """
        from ._removal import Erased, ErasureReport, WhereReport
        from ._reports import DamagedFile

        if where is None:
            if conversation_id is None:
                raise InvalidInput("say what is to be erased: a conversation by its id, or where=")
            return ErasureReport._of(erase(self._core, conversation_id, message_id, dry_run))
        if conversation_id is not None or message_id is not None:
            raise InvalidInput("what is to be erased is named by ids or by where=, not by both")
        done, before, unread = erase_where(self._core, where, dry_run)
        return WhereReport(
            [Erased(*named, ErasureReport._of(row)) for named, row in done],
            [Erased(*named, None) for named in before],
            [DamagedFile(**file) for file in unread],
        )

    def receipts(self) -> list[KeptReceipt]:
        """The receipts that the store keeps of what was erased from it, the oldest first. One that is damaged is among them, and says so.

        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as directory, Store(directory) as store:
        ...     receipt = store.add_message("c1", "Nobody is to read this any more.")
        ...     report = store.erase("c1")
        ...     [(kept.messages, kept.damage, kept.receipt == report.receipt) for kept in store.receipts()]
        [(1, None, True)]
        """
        from ._removal import KeptReceipt

        kept = receipts(self._core)
        return [KeptReceipt(**{**fields, "path": Path(fields["path"])}) for fields in kept]

    def check_receipt(
        self, receipt: str, *, also: Iterable[str | os.PathLike[str]] = ()
    ) -> list[Remnant]:
        """Where something still is of what an erasure's receipt is of, in each file the first place: in the store, beside it, and in
        the files and directories ``also``, such as a backup. None if it is nowhere.

        Raises :class:`Corrupt` for a receipt that is none, :class:`InvalidInput` for one of another store, and :class:`NotFound`
        for a place that is not there.
        """
        from ._removal import Remnant

        if isinstance(also, (str, os.PathLike)):
            raise InvalidInput(f"also takes several places, such as [{os.fspath(also)!r}]")
        return [Remnant(Path(path), offset) for path, offset in remnants(self._core, receipt, list(also))]

    # Upkeep.

    def refresh(self) -> int:
        """Has a store that was opened with ``read_only`` show what was appended since; gives the newest event's number.

        If nothing came, that is a look at one directory; what one writer adds is read alone. After a compaction, and where
        another segment of the log was begun, as each opening for writing does, the log is read anew. A store that writes shows
        everything anyway.

        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as directory, Store(directory) as store:
        ...     with Store(directory, read_only=True) as reader:
        ...         receipt = store.add_message("c1", "Hello, world!")
        ...         before, newest, after = "c1" in reader, reader.refresh(), "c1" in reader
        >>> before, newest, after
        (False, 1, True)
        """
        return self._core.refresh()

    def sync(self) -> None:
        """Makes everything accepted so far durable, whatever the sync policy."""
        self._core.sync()

    def compact(self) -> CompactionReport:
        """Writes what has changed to the JSON files and drops the log that is covered by them."""
        from ._reports import CompactionReport, with_parts

        return CompactionReport(**with_parts(self._core.compact()))

    def accept(self, conversation_id: str) -> Receipt | None:
        """Takes a conversation's JSON file as it is now, edited by hand or put in the place of the one that the store wrote.

        Until then the conversation answers with :class:`Corrupt`, because such a file may hold less. What the log adds to it
        is kept. ``None`` if the file is the one that the store wrote or read last.
        """
        row = self._core.accept(conversation_id)
        return None if row is None else Receipt(*row)

    def verify(self) -> VerifyReport:
        """Reads every byte of every file, checks every checksum, and says what is wrong where."""
        from ._reports import VerifyReport, with_parts

        return VerifyReport(**with_parts(self._core.verify()))

    def stats(self) -> Stats:
        """How large the store is."""
        from ._reports import Stats

        return Stats(**self._core.stats())

    def recovery(self) -> RecoveryReport:
        """What opening the store found: what was replayed, what was cut, what cannot be read."""
        from ._reports import RecoveryReport, with_parts

        return RecoveryReport(**with_parts(self._core.recovery()))

    def export(self, to: str | os.PathLike[str], ids: Iterable[str] | None = None) -> ExportReport:
        """Writes conversations, all of them or these, in the original's layout into a new or empty directory."""
        if isinstance(ids, str):
            raise InvalidInput(f"ids takes several conversation ids, such as [{ids!r}]")
        from ._reports import ExportReport, with_parts

        listed = None if ids is None else list(ids)
        return ExportReport(**with_parts(self._core.export_aral(to, listed)))

    def close(self) -> None:
        """Makes everything durable and gives the handle up; a second call does nothing.

        The last handle on a directory in the process lets go of its lock.
        """
        self._core.close()

    @property
    def is_closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._core.is_closed

    def __reduce__(self) -> NoReturn:
        raise TypeError("a store is not sent to another process; open it there, for reading if it is open here")

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def check_wait(wait: float) -> None:
    """Refuses what is no number of seconds; ``True`` is one to Python."""
    if isinstance(wait, bool) or not isinstance(wait, (int, float)) or not 0 <= wait < 1 << 63:
        raise InvalidInput(f"wait must be a number of seconds, 0 or above, not {wait!r}")


def _whole(conversation_id: str) -> str:
    return f"conversation {conversation_id!r}, which is whole (`aral-store show` reads it)"


def _begin_of(begin: int | Literal["start", "now"]) -> str:
    if isinstance(begin, str):
        return begin
    check_count("begin", begin)
    return str(begin)


def _gathers(bytes: int, every: float) -> tuple[int, float]:
    """How much is gathered: a time alone gathers however many bytes come in it."""
    check_count("bytes", bytes)
    return ((1 << 62) if every and bytes == 1 else bytes, float(every))


def _time(name: str, time: datetime | None) -> str | None:
    """A time as the native part takes it."""
    if time is None:
        return None
    if not isinstance(time, datetime):
        raise InvalidInput(f"{name} takes a datetime, not {time!r}")
    return time.isoformat()


def _next_page(store: Store, conversation_id: str, newest: Message | None, place: int, page: int) -> list[Message]:
    """The messages from a place on, if the one before it is still the newest that was read."""
    if page < 1:
        raise InvalidInput(f"a page has 1 message at least, not {page}")
    if newest is None:
        return store.messages(conversation_id, first=page)
    found = store.messages(conversation_id, place=place - 1, first=page + 1)
    if not found or found[0].id != newest.id:
        raise Conflict(f"messages of conversation {conversation_id!r} were taken away while they were read")
    return found[1:]


def _events(found: tuple[list[str], tuple[int, int] | None]) -> Iterator[dict[str, Any]]:
    lines, dropped = found
    if dropped is not None:
        yield {"type": "compacted", "first": dropped[0], "last": dropped[1]}
    for line in lines:
        yield decode(line)
