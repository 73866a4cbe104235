"""The wiring of the feeder and of the askers."""

from __future__ import annotations

import os
import time
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING

from payonce.domain.errors import MisconfiguredError, PayonceError
from payonce.each import InThreads
from payonce.observability import get_logger
from payonce.overview.doubts import keep_doubts
from payonce.ports import Deadline
from payonce.recovery.backlog import READING_THREADS
from payonce.recovery.book import Book
from payonce.recovery.feeder import Feeder, Feeding
from payonce.routing.control.control_store import ControlStore
from payonce.routing.control.document import parse_document
from payonce.routing.control.routing_settings import Mode
from payonce.wiring.application import Application
from payonce.wiring.settings import DEFAULT_RECOVERY_REQUESTS_PER_SECOND, load_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.ports import MessageQueue
    from payonce.proxy.service import ProxyService
    from payonce.recovery.asker import Asker, Recover, Tally
    from payonce.recovery.messages import AskMessage

# A run is a minute and some seconds, in which the next one reads the index and stands by.
RUN_SECONDS = 65
STOP_BEFORE_TIMEOUT_MS = 10_000  # time for a last tick whose calls are all tried three times, and for the log
ASK_SECONDS = 25  # for a claim: a lookup, a submission and a commit, or what a proxy's route may take
STOP_BEFORE_ANSWER_MS = 4_000  # the same for an asker: time to report, and to answer


class RecoveryApplication(Application):
    """The application with the feeder and the asker. Tests can set ``recovery_queue`` and ``sleep``."""

    sleep = staticmethod(time.sleep)

    @cached_property
    def recovery_queue(self) -> MessageQueue:
        """Return the queue of claims to be asked about. Raises ``MisconfiguredError``."""
        if not self.settings.recovery_queue_url:
            raise MisconfiguredError("PAYONCE_RECOVERY_QUEUE_URL is not set: no claim can be queued.")
        from payonce.aws.sqs import SqsQueue

        return SqsQueue(self.sqs_client, self.settings.recovery_queue_url)

    @cached_property
    def feeder(self) -> Feeder:
        """Return the feeder of the recovery queue."""
        bounds = {name: gateway.recovery_requests_per_second for name, gateway in self.settings.gateways.items()}
        return Feeder(
            Feeding(
                store=self.store,
                book=Book(self.database),
                queue=self.recovery_queue,
                clock=self.clock,
                ids=self.ids,
                sleep=self.sleep,
                bounds=bounds,
                other_bound=DEFAULT_RECOVERY_REQUESTS_PER_SECOND,
                limits=self._limits,
                report_error=_report_error,
                each=InThreads(READING_THREADS),
                keep=lambda doubts, now_ms, complete: keep_doubts(self.database, doubts, now_ms, complete=complete),
            )
        )

    @cached_property
    def asker(self) -> Asker:
        """Return the asker, which also settles the claims of the proxy where there is one."""
        # Imported here, because the feeder needs neither gateways nor the proxy's configuration.
        from payonce.recovery.asker import Asker
        from payonce.wiring.proxy_function import is_configured, proxy_of

        recoveries: list[Recover] = [self.recovery.recover]
        if is_configured(os.environ):
            recoveries.append(_of_proxy(proxy_of(self, os.environ).service))
        return Asker(
            recoveries=recoveries,
            book=Book(self.database),
            clock=self.clock,
            timeout_per_claim_ms=ASK_SECONDS * 1000,
            report_error=_report_error,
        )

    def feed(self, remaining_ms: int) -> dict[str, int]:
        """Feed for ``RUN_SECONDS``, or less if the function ends earlier; log and return the counts."""
        budget_ms = min(RUN_SECONDS * 1000, remaining_ms - STOP_BEFORE_TIMEOUT_MS)
        counts = asdict(self.feeder.run(Deadline(self.clock.now_ms() + budget_ms)))
        get_logger().info("recovery run", extra=counts)
        return counts

    def _limits(self) -> Mapping[str, float]:
        """Return the gateways' limits of routing's document; none without a document that is in force."""
        if self.settings.routing.mode is Mode.OFF:
            return {}
        try:
            raw = ControlStore(self.database).read().document
            document = None if raw is None else parse_document(raw, frozenset(self.settings.gateways))
        except (PayonceError, ValueError) as error:
            get_logger().warning("routing control not read", extra={"error": repr(error)})
            return {}
        return document.limits if document is not None and document.is_fresh(self.clock.now_ms()) else {}


def _of_proxy(service: ProxyService) -> Recover:
    def recover(open_id: str, deadline: Deadline, message: AskMessage, tally: Tally) -> bool | None:
        concluded = service.recover(open_id, deadline)
        if concluded is not None:
            tally.count(message.lane, answered=True)
        return concluded

    return recover


def _report_error(name: str, error: Exception) -> None:
    get_logger().error("claim not recovered", extra={"record_id": name, "error": repr(error)})


def bootstrap_recovery() -> RecoveryApplication:
    """Return the application of this process's environment. Raises ``MisconfiguredError``."""
    return RecoveryApplication(load_settings(os.environ))
