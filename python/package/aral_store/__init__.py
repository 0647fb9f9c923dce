"""A crash-safe store for the conversations of LLM agents.

:class:`MessageStore` has the ways of the Aral framework's store, on a log that loses nothing; :class:`Store` is the store
itself, for new programs, and :class:`AsyncStore` the same for those with an event loop.

>>> from aral_store import MessageStore
>>> store = MessageStore()
>>> store.add_message("c1", "Hello, world!").role
'user'
"""

#: A checker's own name for "when types are checked"; importing ``typing`` takes longer than this module does.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from ._async_store import AsyncStore
    from ._consumer import AsyncConsumer, Consumer, ConsumerStatus
    from ._errors import (
        AlreadyExists,
        AralStoreError,
        Closed,
        Conflict,
        Corrupt,
        Failed,
        Forked,
        InvalidInput,
        IoFailed,
        KeyRefused,
        Locked,
        Missed,
        NoSpace,
        NotFound,
        ReadOnly,
        Unsupported,
        UnsupportedFormat,
    )
    from ._message_store import MessageStore
    from ._models import Conversation, ConversationAction, Message
    from ._offline import rekey, repair, verify
    from ._receipts import Found, Receipt, SearchIndex, Snippet, Summary
    from ._removal import (
        Erased,
        ErasureReport,
        KeptReceipt,
        Pruned,
        PruneReport,
        Remnant,
        RetentionPolicy,
        StoredRetention,
        WhereReport,
    )
    from ._reply import AsyncReply, OpenReply, Reply
    from ._reports import (
        CompactionReport,
        DamagedFile,
        ExportReport,
        Loss,
        OrphanedEvents,
        RecoveryReport,
        RepairReport,
        Stats,
        TornTail,
        VerifyReport,
    )
    from ._store import Store

__all__ = [
    "AlreadyExists",
    "AralStoreError",
    "AsyncConsumer",
    "AsyncReply",
    "AsyncStore",
    "Closed",
    "CompactionReport",
    "Conflict",
    "Consumer",
    "ConsumerStatus",
    "Conversation",
    "ConversationAction",
    "Corrupt",
    "DamagedFile",
    "Erased",
    "ErasureReport",
    "ExportReport",
    "Failed",
    "Forked",
    "Found",
    "InvalidInput",
    "IoFailed",
    "KeptReceipt",
    "KeyRefused",
    "Locked",
    "Loss",
    "Message",
    "MessageStore",
    "Missed",
    "NoSpace",
    "NotFound",
    "OpenReply",
    "OrphanedEvents",
    "PruneReport",
    "Pruned",
    "ReadOnly",
    "Receipt",
    "RecoveryReport",
    "Remnant",
    "RepairReport",
    "Reply",
    "RetentionPolicy",
    "SearchIndex",
    "Snippet",
    "Stats",
    "Store",
    "StoredRetention",
    "Summary",
    "TornTail",
    "Unsupported",
    "UnsupportedFormat",
    "VerifyReport",
    "WhereReport",
    "rekey",
    "repair",
    "verify",
]

#: Where each name is. What nobody asks for is not imported: pydantic, which the models need, and asyncio take most of the
#: time that importing everything would.
_WHERE = {
    "._async_store": ("AsyncStore",),
    "._consumer": ("AsyncConsumer", "Consumer", "ConsumerStatus"),
    "._errors": (
        "AlreadyExists",
        "AralStoreError",
        "Closed",
        "Conflict",
        "Corrupt",
        "Failed",
        "Forked",
        "InvalidInput",
        "IoFailed",
        "KeyRefused",
        "Locked",
        "Missed",
        "NoSpace",
        "NotFound",
        "ReadOnly",
        "Unsupported",
        "UnsupportedFormat",
    ),
    "._message_store": ("MessageStore",),
    "._models": ("Conversation", "ConversationAction", "Message"),
    "._offline": ("rekey", "repair", "verify"),
    "._receipts": ("Found", "Receipt", "SearchIndex", "Snippet", "Summary"),
    "._removal": (
        "Erased",
        "ErasureReport",
        "KeptReceipt",
        "PruneReport",
        "Pruned",
        "Remnant",
        "RetentionPolicy",
        "StoredRetention",
        "WhereReport",
    ),
    "._reply": ("AsyncReply", "OpenReply", "Reply"),
    "._reports": (
        "CompactionReport",
        "DamagedFile",
        "ExportReport",
        "Loss",
        "OrphanedEvents",
        "RecoveryReport",
        "RepairReport",
        "Stats",
        "TornTail",
        "VerifyReport",
    ),
    "._store": ("Store",),
}

if not TYPE_CHECKING:

    def __getattr__(name):
        for module, names in _WHERE.items():
            if name in names:
                from importlib import import_module

                value = globals()[name] = getattr(import_module(module, __name__), name)
                return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__():
        return sorted({*globals(), *__all__})
