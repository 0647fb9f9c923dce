"""The calls of a store, awaited.

Owns their signatures, which are those of :class:`Store`, written out for whoever completes or checks what calls them: a test
holds them to be the same. Does not know how a call is waited for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from ._consumer import ConsumerStatus
from ._receipts import Found, Receipt, SearchIndex, Summary
from ._reply import OpenReply
from ._store import Store

if TYPE_CHECKING:
    from ._models import ConversationAction, Message
    from ._removal import ErasureReport, KeptReceipt, PruneReport, Remnant, StoredRetention, WhereReport
    from ._reports import CompactionReport, ExportReport, RecoveryReport, Stats, VerifyReport

_R = TypeVar("_R")


class AsyncCalls:
    """What :class:`AsyncStore` has of a :class:`Store` as it is, but for the waiting."""

    _store: Store

    async def _run(self, work: Callable[[], _R]) -> _R:
        raise NotImplementedError

    async def create(
        self,
        id: str | None = None,
        *,
        title: str | None = None,
        metadata: dict[str, Any] | None = None,
        created_at: datetime | None = None,
        key: str | None = None,
    ) -> Receipt:
        """See :meth:`Store.create`."""
        work = partial(self._store.create, id, title=title, metadata=metadata, created_at=created_at, key=key)
        return await self._run(work)

    async def reset(
        self,
        conversation_id: str,
        *,
        title: str | None = None,
        metadata: dict[str, Any] | None = None,
        created_at: datetime | None = None,
        key: str | None = None,
        expect: int | None = None,
    ) -> Receipt:
        """See :meth:`Store.reset`."""
        work = partial(
            self._store.reset,
            conversation_id,
            title=title,
            metadata=metadata,
            created_at=created_at,
            key=key,
            expect=expect,
        )
        return await self._run(work)

    async def add_message(
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
        """See :meth:`Store.add_message`."""
        work = partial(
            self._store.add_message,
            conversation_id,
            content,
            role=role,
            metadata=metadata,
            id=id,
            created_at=created_at,
            key=key,
            expect=expect,
        )
        return await self._run(work)

    async def add_action(
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
        """See :meth:`Store.add_action`."""
        work = partial(
            self._store.add_action,
            conversation_id,
            action_type,
            data,
            metadata=metadata,
            id=id,
            created_at=created_at,
            key=key,
            expect=expect,
        )
        return await self._run(work)

    async def set_title(self, conversation_id: str, title: str, *, expect: int | None = None) -> Receipt:
        """See :meth:`Store.set_title`."""
        return await self._run(partial(self._store.set_title, conversation_id, title, expect=expect))

    async def set_metadata(
        self, conversation_id: str, metadata: dict[str, Any], *, expect: int | None = None
    ) -> Receipt:
        """See :meth:`Store.set_metadata`."""
        return await self._run(partial(self._store.set_metadata, conversation_id, metadata, expect=expect))

    async def set_created_at(self, conversation_id: str, created_at: datetime, *, expect: int | None = None) -> Receipt:
        """See :meth:`Store.set_created_at`."""
        return await self._run(partial(self._store.set_created_at, conversation_id, created_at, expect=expect))

    async def edit_message(
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
        """See :meth:`Store.edit_message`."""
        work = partial(
            self._store.edit_message,
            conversation_id,
            message_id,
            content=content,
            role=role,
            created_at=created_at,
            metadata=metadata,
            expect=expect,
        )
        return await self._run(work)

    async def edit_action(
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
        """See :meth:`Store.edit_action`."""
        work = partial(
            self._store.edit_action,
            conversation_id,
            action_id,
            action_type=action_type,
            data=data,
            created_at=created_at,
            metadata=metadata,
            expect=expect,
        )
        return await self._run(work)

    async def remove_message(self, conversation_id: str, message_id: str, *, expect: int | None = None) -> Receipt:
        """See :meth:`Store.remove_message`."""
        return await self._run(partial(self._store.remove_message, conversation_id, message_id, expect=expect))

    async def remove_action(self, conversation_id: str, action_id: str, *, expect: int | None = None) -> Receipt:
        """See :meth:`Store.remove_action`."""
        return await self._run(partial(self._store.remove_action, conversation_id, action_id, expect=expect))

    async def clear(self, conversation_id: str, *, expect: int | None = None) -> Receipt:
        """See :meth:`Store.clear`."""
        return await self._run(partial(self._store.clear, conversation_id, expect=expect))

    async def remove(self, conversation_id: str, *, expect: int | None = None) -> Receipt:
        """See :meth:`Store.remove`."""
        return await self._run(partial(self._store.remove, conversation_id, expect=expect))

    async def batch(self, mutations: Iterable[Mapping[str, Any]]) -> list[Receipt]:
        """See :meth:`Store.batch`."""
        return await self._run(partial(self._store.batch, mutations))

    async def fork(
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
        """See :meth:`Store.fork`."""
        work = partial(
            self._store.fork,
            conversation_id,
            through=through,
            before=before,
            at=at,
            version=version,
            id=id,
            title=title,
        )
        return await self._run(work)

    async def get(self, conversation_id: str, default: Any = None) -> Any:
        """See :meth:`Store.get`."""
        return await self._run(partial(self._store.get, conversation_id, default))

    async def summary(self, conversation_id: str) -> Summary | None:
        """See :meth:`Store.summary`."""
        return await self._run(partial(self._store.summary, conversation_id))

    async def summaries(
        self,
        *,
        by: Literal["created", "activity"] = "created",
        limit: int | None = None,
        after: Summary | str | None = None,
    ) -> list[Summary]:
        """See :meth:`Store.summaries`."""
        return await self._run(partial(self._store.summaries, by=by, limit=limit, after=after))

    async def messages(
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
        """See :meth:`Store.messages`."""
        work = partial(
            self._store.messages,
            conversation_id,
            first=first,
            last=last,
            place=place,
            before=before,
            after=after,
            role=role,
            since=since,
            until=until,
            whole_turns=whole_turns,
        )
        return await self._run(work)

    async def search(
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
        """See :meth:`Store.search`."""
        work = partial(
            self._store.search,
            query,
            conversation_id=conversation_id,
            role=role,
            since=since,
            until=until,
            order=order,
            limit=limit,
        )
        return await self._run(work)

    async def index_search(self) -> SearchIndex:
        """See :meth:`Store.index_search`."""
        return await self._run(self._store.index_search)

    async def search_index(self) -> SearchIndex | None:
        """See :meth:`Store.search_index`."""
        return await self._run(self._store.search_index)

    async def drop_search_index(self) -> bool:
        """See :meth:`Store.drop_search_index`."""
        return await self._run(self._store.drop_search_index)

    async def actions(self, conversation_id: str) -> list[ConversationAction]:
        """See :meth:`Store.actions`."""
        return await self._run(partial(self._store.actions, conversation_id))

    async def open_replies(self, conversation: str | None = None) -> list[OpenReply]:
        """See :meth:`Store.open_replies`."""
        return await self._run(partial(self._store.open_replies, conversation))

    async def consumers(self) -> list[ConsumerStatus]:
        """See :meth:`Store.consumers`."""
        return await self._run(self._store.consumers)

    async def reset_consumer(self, name: str, begin: int | Literal["start", "now"]) -> int:
        """See :meth:`Store.reset_consumer`."""
        return await self._run(partial(self._store.reset_consumer, name, begin))

    async def remove_consumer(self, name: str) -> None:
        """See :meth:`Store.remove_consumer`."""
        return await self._run(partial(self._store.remove_consumer, name))

    async def prune(
        self,
        *,
        older_than: datetime | timedelta | None = None,
        keep_last: int | None = None,
        conversations: Iterable[str] = (),
        dry_run: bool = False,
    ) -> PruneReport:
        """See :meth:`Store.prune`."""
        work = partial(
            self._store.prune, older_than=older_than, keep_last=keep_last, conversations=conversations, dry_run=dry_run
        )
        return await self._run(work)

    async def set_retention(
        self,
        conversation_id: str | None = None,
        *,
        older_than: timedelta | None = None,
        keep_last: int | None = None,
        keep_everything: bool = False,
    ) -> Receipt:
        """See :meth:`Store.set_retention`."""
        work = partial(
            self._store.set_retention,
            conversation_id,
            older_than=older_than,
            keep_last=keep_last,
            keep_everything=keep_everything,
        )
        return await self._run(work)

    async def clear_retention(self, conversation_id: str | None = None) -> Receipt | None:
        """See :meth:`Store.clear_retention`."""
        return await self._run(partial(self._store.clear_retention, conversation_id))

    async def retention(self) -> StoredRetention:
        """See :meth:`Store.retention`."""
        return await self._run(self._store.retention)

    @overload
    async def erase(
        self, conversation_id: str, message_id: str | None = None, *, where: None = None, dry_run: bool = False
    ) -> ErasureReport: ...

    @overload
    async def erase(
        self, conversation_id: None = None, message_id: None = None, *, where: str, dry_run: bool = False
    ) -> WhereReport: ...

    async def erase(
        self,
        conversation_id: str | None = None,
        message_id: str | None = None,
        *,
        where: str | None = None,
        dry_run: bool = False,
    ) -> ErasureReport | WhereReport:
        """See :meth:`Store.erase`."""
        erase: Callable[..., ErasureReport | WhereReport] = self._store.erase
        return await self._run(partial(erase, conversation_id, message_id, where=where, dry_run=dry_run))

    async def receipts(self) -> list[KeptReceipt]:
        """See :meth:`Store.receipts`."""
        return await self._run(self._store.receipts)

    async def check_receipt(self, receipt: str, *, also: Iterable[str | os.PathLike[str]] = ()) -> list[Remnant]:
        """See :meth:`Store.check_receipt`."""
        return await self._run(partial(self._store.check_receipt, receipt, also=also))

    async def refresh(self) -> int:
        """See :meth:`Store.refresh`."""
        return await self._run(self._store.refresh)

    async def sync(self) -> None:
        """See :meth:`Store.sync`."""
        return await self._run(self._store.sync)

    async def compact(self) -> CompactionReport:
        """See :meth:`Store.compact`."""
        return await self._run(self._store.compact)

    async def accept(self, conversation_id: str) -> Receipt | None:
        """See :meth:`Store.accept`."""
        return await self._run(partial(self._store.accept, conversation_id))

    async def verify(self) -> VerifyReport:
        """See :meth:`Store.verify`."""
        return await self._run(self._store.verify)

    async def stats(self) -> Stats:
        """See :meth:`Store.stats`."""
        return await self._run(self._store.stats)

    async def recovery(self) -> RecoveryReport:
        """See :meth:`Store.recovery`."""
        return await self._run(self._store.recovery)

    async def export(self, to: str | os.PathLike[str], ids: Iterable[str] | None = None) -> ExportReport:
        """See :meth:`Store.export`."""
        return await self._run(partial(self._store.export, to, ids))
