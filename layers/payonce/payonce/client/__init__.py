"""The Python client of payonce's API: docs/client.md. Its only third-party package is httpx."""

from __future__ import annotations

from payonce.client.async_client import AsyncClient
from payonce.client.backoff import Backoff
from payonce.client.call import Answer
from payonce.client.errors import (
    AlreadyExecuted,
    ClientError,
    Declined,
    IntentReused,
    IntentTooOld,
    JournalUnusable,
    KeyReused,
    Misused,
    NotBegun,
    NotExecuted,
    NotFound,
    NothingExecuted,
    OutcomeUnknown,
    ReadFailed,
    Refused,
)
from payonce.client.intents import DerivedKeys
from payonce.client.journal import Journal, OpenIntent
from payonce.client.sync_client import Client

__all__ = [
    "AlreadyExecuted",
    "Answer",
    "AsyncClient",
    "Backoff",
    "Client",
    "ClientError",
    "Declined",
    "DerivedKeys",
    "IntentReused",
    "IntentTooOld",
    "Journal",
    "JournalUnusable",
    "KeyReused",
    "Misused",
    "NotBegun",
    "NotExecuted",
    "NotFound",
    "NothingExecuted",
    "OpenIntent",
    "OutcomeUnknown",
    "ReadFailed",
    "Refused",
]
