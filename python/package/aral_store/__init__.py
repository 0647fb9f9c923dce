"""A crash-safe store for the conversations of LLM agents.

:class:`MessageStore` has the ways of the Aral framework's store, on a log that loses nothing; :class:`Store` is the store
itself, for new programs, and :class:`AsyncStore` the same for those with an event loop.

>>> from aral_store import MessageStore
>>> store = MessageStore()
>>> store.add_message("c1", "Hello, world!").role
'user'
"""

from ._async_store import AsyncStore
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
    Locked,
    NoSpace,
    NotFound,
    ReadOnly,
    Unsupported,
    UnsupportedFormat,
)
from ._message_store import MessageStore
from ._models import Conversation, ConversationAction, Message
from ._offline import repair, verify
from ._reports import (
    CompactionReport,
    DamagedFile,
    ExportReport,
    Loss,
    Receipt,
    RecoveryReport,
    RepairReport,
    Stats,
    Summary,
    TornTail,
    VerifyReport,
)
from ._store import Store

__all__ = [
    "AlreadyExists",
    "AralStoreError",
    "AsyncStore",
    "Closed",
    "CompactionReport",
    "Conflict",
    "Conversation",
    "ConversationAction",
    "Corrupt",
    "DamagedFile",
    "ExportReport",
    "Failed",
    "Forked",
    "InvalidInput",
    "IoFailed",
    "Locked",
    "Loss",
    "Message",
    "MessageStore",
    "NoSpace",
    "NotFound",
    "ReadOnly",
    "Receipt",
    "RecoveryReport",
    "RepairReport",
    "Stats",
    "Store",
    "Summary",
    "TornTail",
    "Unsupported",
    "UnsupportedFormat",
    "VerifyReport",
    "repair",
    "verify",
]
