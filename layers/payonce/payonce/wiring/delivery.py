"""The wiring of the functions behind the outbox.

The API's functions do not import this module, so it adds nothing to their cold start.
"""

from __future__ import annotations

import os
import random
import time
from functools import cached_property, partial
from typing import TYPE_CHECKING

from payonce.each import InThreads
from payonce.network.webhook_sender import WebhookSender
from payonce.observability import get_logger
from payonce.overview.failing import keep_failing
from payonce.webhooks.attempts import Attempts
from payonce.webhooks.crew import ThreadCrew
from payonce.webhooks.dispatch import Dispatcher
from payonce.webhooks.gate import Gates
from payonce.webhooks.inbox import Inbox
from payonce.webhooks.relay import Relay
from payonce.webhooks.replays import advance_replay
from payonce.webhooks.scheduler import Scheduler
from payonce.webhooks.session import Tools
from payonce.webhooks.signer import Signer
from payonce.webhooks.sweeper import SWEEPING_THREADS, Sweeper
from payonce.wiring.application import Application
from payonce.wiring.settings import load_settings

if TYPE_CHECKING:
    from payonce.domain.endpoint import DisabledReason


class DeliveryApplication(Application):
    """The application with relay, dispatcher, scheduler and inbox."""

    @cached_property
    def relay(self) -> Relay:
        """Return the relay from the outbox to the delivery queue."""
        return Relay(database=self.database, queue=self.delivery_queue, clock=self.clock, gates=self.gates)

    @cached_property
    def gates(self) -> Gates:
        """Return the gates of all endpoints."""
        return Gates(self.database)

    @cached_property
    def dispatcher(self) -> Dispatcher:
        """Return the dispatcher of deliveries."""

        def report_disabled(endpoint_id: str, reason: DisabledReason) -> None:
            get_logger().warning("endpoint disabled", extra={"endpoint_id": endpoint_id, "reason": reason.value})

        def report_error(name: str, error: Exception) -> None:
            get_logger().error("delivery not sent", extra={"item": name, "error": repr(error)})

        attempts = Attempts(
            database=self.database,
            queue=self.delivery_queue,
            transport=WebhookSender(self.clock, allow_local=self.settings.allow_local_endpoints),
            signer=Signer(cipher=self.cipher, clock=self.clock),
            clock=self.clock,
            jitter=random.random,
            report_disabled=report_disabled,
        )
        return Dispatcher(
            Tools(
                attempts=attempts,
                gates=self.gates,
                crew=ThreadCrew,
                sleep=time.sleep,
                report_error=report_error,
            )
        )

    @cached_property
    def scheduler(self) -> Scheduler:
        """Return the scheduler of deliveries and replays."""

        def report_error(name: str, error: Exception) -> None:
            get_logger().error("not scheduled", extra={"item": name, "error": repr(error)})

        return Scheduler(
            database=self.database,
            queue=self.delivery_queue,
            sweeper=Sweeper(
                database=self.database,
                relay=self.relay,
                clock=self.clock,
                report_error=report_error,
                each=InThreads(SWEEPING_THREADS),
            ),
            advance=partial(advance_replay, self.database, self.delivery_queue, self.clock),
            clock=self.clock,
            report_error=report_error,
            keep=partial(keep_failing, self.database),
        )

    @cached_property
    def inbox(self) -> Inbox:
        """Return the inbox of merchants' own events."""
        return Inbox(database=self.database, clock=self.clock)


def bootstrap_delivery() -> DeliveryApplication:
    """Return the application of this process's environment. Raises ``MisconfiguredError``."""
    return DeliveryApplication(load_settings(os.environ))
