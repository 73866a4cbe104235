"""What the worker ``dispatcher`` serves: an event is stored, relayed, signed and delivered, all by production code.

On AWS a stream and a queue lie between the three functions; here they are one invocation, so that a client sees how
long an event takes, and a process that lives for half an hour shows what it does not give back.
"""

from __future__ import annotations

import json
import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from histories.key_model import Outcome
from payonce.clock import SystemClock
from payonce.domain.endpoint import Endpoint, EndpointKey, KeyKind
from payonce.domain.errors import PayonceError, WriteConflict
from payonce.domain.events import build_event
from payonce.domain.payment import Change
from payonce.outbox import event_item, event_write
from payonce.ports import Deadline, Table
from payonce.stores.memory_cipher import MemoryCipher
from payonce.stores.sealing import DATA_KEY_BYTES
from payonce.webhooks.attempts import Dispatched
from payonce.webhooks.endpoints import create_writes
from payonce.webhooks.keys import key_context
from payonce.webhooks.messages import parse_message
from payonce.webhooks.signing import HmacKey
from payonce.wiring.delivery import DeliveryApplication
from payonce.wiring.settings import LOCAL_ENVIRONMENT, load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histories.worker_kinds import Handler
    from payonce.ports import QueueMessage, Write

MERCHANT, ENDPOINT, KEY_ID = "mer_1", "we_1", "whk_1"
SHARED_KEY = b"k" * DATA_KEY_BYTES  # stands for the key in KMS, which all processes share
CREATED_AT_MS = 1_795_900_000_000  # of all events: of a repetition it has to be the same, as a stored event's is
DISPATCHER_SECONDS = 30  # its timeout in template.yaml
MOST_WAIT_SECONDS = 10  # for a slot of the endpoint: within the client's time


class _OwnQueue:
    """``MessageQueue`` that gives each thread what it sent itself: an invocation handles its own event alone."""

    def __init__(self) -> None:
        self._here = threading.local()

    def send(self, messages: Sequence[QueueMessage]) -> None:
        """See ``MessageQueue``."""
        self._here.messages = [*getattr(self._here, "messages", []), *messages]

    def take(self) -> list[QueueMessage]:
        """Return and forget what this thread has sent."""
        taken, self._here.messages = getattr(self._here, "messages", []), []
        return taken


def dispatcher(settings: dict[str, Any]) -> Handler:
    """Return a handler that has an event delivered: the payload has ``key``, ``body`` and ``attempt``."""
    clock, queue = SystemClock(), _OwnQueue()
    environment = {
        **{f"PAYONCE_{table.name}_TABLE": table.value for table in Table},
        "PAYONCE_ENDPOINT_URL": settings["endpoint_url"],
        "PAYONCE_ENVIRONMENT": LOCAL_ENVIRONMENT,
    }
    first = iter([SHARED_KEY])
    cipher = MemoryCipher(clock, lambda count: next(first, None) or os.urandom(count))
    application = DeliveryApplication(load_settings(environment), clock=clock, cipher=cipher, delivery_queue=queue)
    _create_endpoint(application, settings["receiver_url"])
    relay, dispatch = application.relay, application.dispatcher  # made before threads ask for them

    def handler(payload: dict[str, Any], context: Any) -> dict[str, Any]:
        event = build_event(
            Change.CHARGED,
            merchant_id=MERCHANT,
            resource_id=payload["key"],
            version=1,
            created_at_ms=CREATED_AT_MS,
            data={"key": payload["key"], "body": payload["body"]},
        )
        deadline = Deadline(clock.now_ms() + context.get_remaining_time_in_millis())
        try:
            _write_once(application, event_write(event))
            relay.relay([event_item(event)])
            settled = _deliver(dispatch.handle, queue, deadline)
        except PayonceError:
            return {"outcome": Outcome.UNKNOWN.value}
        if not settled:
            return {"outcome": Outcome.UNKNOWN.value}
        return {"outcome": Outcome.ANSWERED.value, "answer": json.dumps(event.event_id)}

    return handler


def _deliver(handle: Any, queue: _OwnQueue, deadline: Deadline) -> bool:
    """Handle this thread's messages until none comes again; return whether one of them was delivered, in time.

    Of an event that was delivered before, or is under way elsewhere, there is none: nobody knows then.
    """
    ends = time.monotonic() + MOST_WAIT_SECONDS
    is_delivered = False
    while messages := queue.take():
        pause_seconds = max(message.delay_seconds for message in messages)
        if time.monotonic() + pause_seconds > ends:
            break
        time.sleep(pause_seconds)
        for message in messages:
            is_delivered |= handle(parse_message(message.body), deadline) is Dispatched.DELIVERED
    return is_delivered


def _write_once(application: DeliveryApplication, *writes: Write) -> None:
    """Make a transaction, unless it has been made."""
    with suppress(WriteConflict):
        application.database.write(writes)


def _create_endpoint(application: DeliveryApplication, url: str) -> None:
    now_ms = application.clock.now_ms()
    secret = HmacKey(os.urandom(32)).text().encode()
    sealed = application.cipher.seal(secret, key_context(MERCHANT, ENDPOINT, KEY_ID))
    key = EndpointKey(key_id=KEY_ID, kind=KeyKind.HMAC_SHA256, sealed=sealed, created_at_ms=now_ms)
    endpoint = Endpoint(
        merchant_id=MERCHANT,
        endpoint_id=ENDPOINT,
        url=url,
        event_types=("*",),
        keys=(key,),
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
    )
    _write_once(application, *create_writes(endpoint)[:2])  # without the event that tells of it
