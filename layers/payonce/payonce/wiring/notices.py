"""The wiring of gateways' events: their readers, acceptance and application.

``READERS`` names the reader of each kind of gateway, by its module and class: a function imports only what its
configured gateways need.
"""

from __future__ import annotations

import os
from functools import cached_property
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

from payonce.domain.errors import GatewayUnavailable, MisconfiguredError, NotFound
from payonce.domain.gateway_address import parts_of
from payonce.observability import get_logger
from payonce.wiring.application import Application
from payonce.wiring.aws_clients import secret_reader
from payonce.wiring.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from payonce.notices.acceptance import Acceptance
    from payonce.notices.applying import Applier
    from payonce.ports import MessageQueue, NoticeReader
    from payonce.wiring.settings import GatewaySettings

READERS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "stripe": ("payonce.gateways.stripe_notices", "StripeNoticeReader"),
        "adyen": ("payonce.gateways.adyen_notices", "AdyenNoticeReader"),
        "mollie": ("payonce.gateways.mollie_notices", "MollieNoticeReader"),
        "sandbox_bank": ("payonce.gateways.sandbox_bank_notices", "SandboxBankNoticeReader"),
    }
)
# A rotated secret is in use everywhere after this time. One read for each process in it costs next to nothing.
SECRETS_LIFE_MS = 300_000
STOP_BEFORE_TIMEOUT_MS = 5_000  # of the function that applies events: time to write down what has become of each


def reader_of(kind: str, secrets: Sequence[str]) -> NoticeReader:
    """Return the reader of events that are signed with ``secrets``. Raises ``MisconfiguredError`` for other texts."""
    module, name = READERS[kind]
    reader: NoticeReader = getattr(import_module(module), name)(secrets)
    return reader


class NoticeApplication(Application):
    """The application with the acceptance and the application of gateways' events.

    Tests can set ``notice_queue`` and ``read_event_secrets``.
    """

    _readers_until_ms = 0

    @cached_property
    def notice_queue(self) -> MessageQueue:
        """Return the queue of events to be applied. Raises ``MisconfiguredError``."""
        if not self.settings.notice_queue_url:
            raise MisconfiguredError("PAYONCE_GATEWAY_EVENT_QUEUE_URL is not set: no event can be queued.")
        from payonce.aws.sqs import SqsQueue

        return SqsQueue(self.sqs_client, self.settings.notice_queue_url)

    @cached_property
    def acceptance(self) -> Acceptance:
        """Return the acceptance of events."""
        from payonce.notices.acceptance import Acceptance

        return Acceptance(database=self.database, queue=self.notice_queue, clock=self.clock)

    @cached_property
    def applier(self) -> Applier:
        """Return the application of kept events."""
        # Imported here: who only accepts events needs neither gateways nor payments.
        from payonce.notices.about import Finder
        from payonce.notices.applying import Applier
        from payonce.notices.told import KeptNoticeBook

        return Applier(
            services=self.services,
            store=self.store,
            finder=Finder(self.database, self.store),
            recover=self.recovery.recover,
            gateway_named=self.gateway,
            queue=self.notice_queue,
            book_at=lambda address: KeptNoticeBook(self.database, parts_of(address)),
        )

    def notice_reader(self, gateway: str) -> NoticeReader:
        """Return the reader of the gateway's events, with secrets that are at most ``SECRETS_LIFE_MS`` old.

        Raises ``NotFound`` for a gateway that is not configured or whose kind sends no events, and
        ``GatewayUnavailable`` when its secret is missing or can't be read: the gateway has to send the event again.
        """
        now_ms = self.clock.now_ms()
        if now_ms >= self._readers_until_ms:
            self._readers: dict[str, NoticeReader] = {}
            self._event_secrets: Mapping[str, object] | None = None
            self._readers_until_ms = now_ms + SECRETS_LIFE_MS
        if gateway not in self._readers:
            self._readers[gateway] = self._reader(gateway)
        return self._readers[gateway]

    def merchant_notice_reader(self, gateway: str, merchant_id: str) -> NoticeReader:
        """Return the reader of the events of the merchant's own accounts at the gateway.

        Its secrets are as old as ``CREDENTIALS_LIFE_SECONDS`` allows. Raises ``NotFound`` where the merchant has none,
        and ``GatewayUnavailable`` or ``StoreUnavailable`` when they can't be read: the gateway has to send it again.
        """
        from payonce.gateways.account_notices import MerchantNotices

        configured = self._sender(gateway)
        secrets = self.merchant_gateways.own_secrets(merchant_id, gateway)
        if not secrets:
            raise NotFound("There is no gateway of this name that sends events.")
        try:
            return MerchantNotices({account: reader_of(configured.kind, own) for account, own in secrets.items()})
        except MisconfiguredError as error:
            raise self._unverifiable(gateway, error) from None

    def _reader(self, gateway: str) -> NoticeReader:
        from payonce.gateways.account_notices import PlatformNotices
        from payonce.gateways.secrets import events_secrets

        configured = self._sender(gateway)
        if self._event_secrets is None:
            self._event_secrets = self.read_event_secrets()
        try:
            reader = reader_of(configured.kind, events_secrets(self._event_secrets, gateway))
        except MisconfiguredError as error:
            raise self._unverifiable(gateway, error) from None
        own_account = str(configured.options.get("merchant_account", ""))  # Adyen's events name it
        return PlatformNotices(reader, own_account) if own_account else reader

    def _sender(self, gateway: str) -> GatewaySettings:
        configured = self.settings.gateways.get(gateway)
        if configured is None or configured.kind not in READERS:
            raise NotFound("There is no gateway of this name that sends events.")
        return configured

    @staticmethod
    def _unverifiable(gateway: str, error: MisconfiguredError) -> GatewayUnavailable:
        get_logger().error("gateway events can not be verified", extra={"gateway": gateway, "error": error.detail})
        return GatewayUnavailable("Events of this gateway can't be verified now. Send it again.")

    def read_event_secrets(self) -> Mapping[str, object]:
        """Return the members of the gateways' secret. Raises ``GatewayUnavailable``."""
        from payonce.gateways.secrets import read_secrets

        return read_secrets(secret_reader(self.settings.endpoint_url), self.settings.gateway_secret_arn)


def bootstrap_notices() -> NoticeApplication:
    """Return the application of this process's environment. Raises ``MisconfiguredError``."""
    return NoticeApplication(load_settings(os.environ))
