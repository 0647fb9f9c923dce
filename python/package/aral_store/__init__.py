"""A crash-safe store for the conversations of LLM agents.

>>> from aral_store import Store
>>> store = Store()
>>> store.add_message("c1", "Hello, world!").version
1
"""

from ._errors import (
    AralStoreError,
    Closed,
    Conflict,
    Corrupt,
    Failed,
    InvalidInput,
    IoFailed,
    Locked,
    NoSpace,
    NotFound,
    ReadOnly,
    Unsupported,
    UnsupportedFormat,
)
from ._models import Conversation, ConversationAction, Message
from ._reports import (
    CompactionReport,
    DamagedFile,
    ExportReport,
    Receipt,
    RecoveryReport,
    Stats,
    Summary,
    TornTail,
    VerifyReport,
)
from ._store import Store

__all__ = [
    "AralStoreError",
    "Closed",
    "CompactionReport",
    "Conflict",
    "Conversation",
    "ConversationAction",
    "Corrupt",
    "DamagedFile",
    "ExportReport",
    "Failed",
    "InvalidInput",
    "IoFailed",
    "Locked",
    "Message",
    "NoSpace",
    "NotFound",
    "ReadOnly",
    "Receipt",
    "RecoveryReport",
    "Stats",
    "Store",
    "Summary",
    "TornTail",
    "Unsupported",
    "UnsupportedFormat",
    "VerifyReport",
]
