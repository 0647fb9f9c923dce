"""The live objects of a message store: which there are, and what the store knows of them."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, MutableMapping, ValuesView

from ._changes import Known, known_of, looked_at
from ._errors import Closed, Corrupt, InvalidInput, Unsupported
from ._json import Undecodable
from ._lock import Lock
from ._models import Conversation
from ._opened import Opened
from ._store import Store
from ._warning import warn


class Live:
    """Every conversation that was asked for, as one object, kept up to what others make of it."""

    def __init__(self, opened: Opened, lock: Lock) -> None:
        self.opened = opened
        self.lock = lock
        self.known: dict[str, Known] = {}

    @property
    def store(self) -> Store:
        """The store under the message store."""
        return self.opened.store

    def find(self, id: str) -> Known | None:
        """The live conversation, read if it is asked for the first time, with what others have added to it since."""
        store = self.store
        known = self.known.get(id)
        if known is not None and known.version > 0:
            # By each addition: of all that is to be known of a conversation no more than says whether it is another one.
            found = store._core.standing(id)
            if found is None or (found[:2] != (known.version, known.seq) and not self._renew(id, known)):
                # Removed by another handle. What is held of it here is no conversation of this store any more.
                del self.known[id]
                return None
            return known
        if store.is_closed:
            raise Closed("the store was closed")
        return known or self._load(id)

    def held(self, id: str) -> Known | None:
        """What is known of a conversation, as it was last looked at; nothing if it was removed since."""
        known = self.known.get(id)
        if known is not None and known.is_saved and id not in self.store:
            del self.known[id]
            return None
        return known or self._load(id)

    def id_of(self, conversation: Conversation) -> str:
        """The id under which the store has this object, which in a store made ``from_dict`` may not be its own."""
        known = self.known.get(conversation.id) if isinstance(conversation.id, str) else None
        if known is not None and known.conversation is conversation:
            return conversation.id
        for id, known in self.known.items():
            if known.conversation is conversation:
                return id
        return conversation.id

    def _renew(self, id: str, known: Known) -> bool:
        """Brings a live conversation up to what others have made of it; says whether it is still there."""
        found = self._read(id)
        if found is not None:
            known.take_over(*found)
        return found is not None

    def _read(self, id: str) -> tuple[Conversation, int, int] | None:
        """The conversation, its version, and the number of its last event."""
        store = self.store
        # Order: the summary, then the conversation. Reversed, what comes between the two would count as known.
        summary = store.summary(id)
        found = store._read(id)
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
        self.known[id] = looked_at(conversation, version=version, seq=seq)
        return self.known[id]


class Backend:
    """What the original's callers ask a backend."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def list_conversation_ids(self) -> list[str]:
        """The ids of the conversations, oldest first."""
        return list(self._live.store)


class Conversations(MutableMapping[str, Conversation]):
    """The conversations by their ids, in the order in which they began; each is read when it is first asked for.

    One that cannot be read raises where it is asked for by its id. Where all are asked for, it hides no other: it is warned of.
    """

    def __init__(self, live: Live) -> None:
        self._live = live

    def __getitem__(self, id: str) -> Conversation:
        with self._live.lock:
            known = self._live.find(id) if isinstance(id, str) else None
        if known is None:
            raise KeyError(id)
        return known.conversation

    def __setitem__(self, id: str, conversation: Conversation) -> None:
        """Puts an object in the place of a conversation; saving it is another step."""
        with self._live.lock:
            before = self._live.held(id)
            self._live.known[id] = known_of(conversation, version=0) if before is None else before.of(conversation)

    def __delitem__(self, id: str) -> None:
        raise Unsupported("a conversation is not taken away by forgetting it; Store.remove ends it")

    def __contains__(self, id: object) -> bool:
        with self._live.lock:
            known = self._live.known.get(id) if isinstance(id, str) else None
            return (known is not None and not known.is_saved) or id in self._live.store

    def _ids(self) -> list[str]:
        with self._live.lock:
            saved = list(self._live.store)
            listed = set(saved)
            return saved + [id for id in self._live.known if id not in listed and id in self]

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids())

    def __len__(self) -> int:
        return len(self._ids())

    def readable(self) -> Iterator[tuple[str, Conversation]]:
        """All that can be read, with their ids; what cannot be is warned of by its name."""
        for id in self._ids():
            try:
                with self._live.lock:
                    known = self._live.find(id)
            except (Corrupt, Undecodable) as error:
                named = "" if repr(id) in str(error) else f" {id!r}"
                warn(f"a conversation{named} is left out: {error}")
                continue
            # One may be removed by another handle meanwhile.
            if known is not None:
                yield id, known.conversation

    def values(self) -> ValuesView[Conversation]:
        return _Values(self)

    def items(self) -> ItemsView[str, Conversation]:
        return _Items(self)

    def __repr__(self) -> str:
        return f"<conversations {self._ids()!r}>"


class _Values(ValuesView[Conversation]):
    def __init__(self, conversations: Conversations) -> None:
        super().__init__(conversations)
        self._conversations = conversations

    def __iter__(self) -> Iterator[Conversation]:
        return (conversation for _, conversation in self._conversations.readable())

    def __contains__(self, value: object) -> bool:
        return any(each is value or each == value for each in self)


class _Items(ItemsView[str, Conversation]):
    def __init__(self, conversations: Conversations) -> None:
        super().__init__(conversations)
        self._conversations = conversations

    def __iter__(self) -> Iterator[tuple[str, Conversation]]:
        return self._conversations.readable()
