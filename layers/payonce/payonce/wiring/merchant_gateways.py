"""The gateways at the accounts of merchants: their adapters, built from what is stored for exactly that account."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from payonce.domain.errors import CredentialsUnavailable, GatewayUnavailable, MisconfiguredError, PayonceError
from payonce.domain.gateway_address import PLATFORM, Whereabouts
from payonce.gateways.renewed import RenewedGateway
from payonce.merchants.credential_cache import CredentialCache
from payonce.merchants.gateway_accounts import AccountKind, MerchantAccounts, open_events_secrets, open_key
from payonce.observability import get_logger
from payonce.ports import Table
from payonce.wiring.gateways import at_account, make_gateway, secret_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payonce.ports import Cipher, Clock, Database, Gateway
    from payonce.wiring.platform_keys import PlatformKeys
    from payonce.wiring.settings import Settings

type _Version = tuple[int, int]  # of the account's own credentials, and of the platform's where those are used

MAX_CACHED_GATEWAYS = 256  # each has the keys of one account, and its connections


class MerchantGateways:
    """Finds the account of a merchant, and the gateway at an account. Thread-safe.

    ``cipher`` opens the secrets, and ``platform_keys`` returns those of the platform, for connected accounts.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        database: Callable[[], Database],
        cipher: Callable[[], Cipher],
        platform_keys: Callable[[], PlatformKeys],
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._database = database
        self._cipher = cipher
        self._platform_keys = platform_keys
        self._clock = clock
        self._cache: CredentialCache | None = None
        self._built: OrderedDict[Whereabouts, tuple[_Version, Gateway]] = OrderedDict()
        self._lock = threading.Lock()

    def account_in_use(self, merchant_id: str, gateway: str) -> str:
        """Return the account to which the merchant's new payments go. Raises ``StoreUnavailable``.

        It may be one that was retired within ``CREDENTIALS_LIFE_SECONDS``: its secrets are kept, so that whoever sends
        there, and whoever asks later, do so at the same account.
        """
        if Table.CREDENTIALS not in self._settings.table_names:
            return PLATFORM  # a deployment without the table has the platform's accounts alone
        return self._credentials().accounts(merchant_id, gateway).current

    def own_secrets(self, merchant_id: str, gateway: str) -> Mapping[str, list[str]]:
        """Return the secrets of events by account, of the merchant's own accounts, retired ones included.

        Raises ``CredentialsUnavailable`` and ``StoreUnavailable``.
        """
        if Table.CREDENTIALS not in self._settings.table_names:
            return {}
        held = self._credentials().accounts(merchant_id, gateway)
        sealed = [account for account, stored in held.accounts.items() if stored.sealed_events is not None]
        return {account: open_events_secrets(self._cipher(), held, account) for account in sealed}

    def gateway(self, where: Whereabouts) -> Gateway:
        """Return the gateway at a merchant's account. Nothing else takes its place.

        Raises ``CredentialsUnavailable`` when the account's credentials are missing, ``GatewayUnavailable`` when the
        gateway is not configured, and ``StoreUnavailable``.
        """
        if not where.merchant_id:
            # An event named a connected account and nothing of ours: the platform's key is asked about that account.
            return self._make(where, None)
        held = self._credentials().accounts(where.merchant_id, where.gateway)
        if where.account not in held.accounts:
            # Perhaps another process has read them later, and has made the claim.
            held = self._credentials().accounts(where.merchant_id, where.gateway, past_the_cache=True)
        gateway, version = self._at(where, held)
        return RenewedGateway(gateway, partial(self._renewed, where, version))

    def candidate(self, gateway: str, account: str, api_key: str | None) -> Gateway:
        """Return the gateway at an account that is not stored yet, for the operator's command to ask whose its key is.

        Raises ``CredentialsUnavailable`` and ``GatewayUnavailable``.
        """
        return self._make(Whereabouts(gateway, account=account), api_key)

    def _renewed(self, where: Whereabouts, version: _Version) -> Gateway | None:
        said = {"gateway": where.gateway, "merchant_id": where.merchant_id, "account": where.account}
        try:
            held = self._credentials().accounts(where.merchant_id, where.gateway, past_the_cache=True)
            stored = held.accounts.get(where.account)
            connected = stored is not None and stored.kind is not AccountKind.OWN
            newer = connected and self._platform_keys().renewed(version[1])
            same = stored is None or (stored.version == version[0] and not newer)
            renewed = None if same else self._at(where, held)[0]
        except PayonceError as error:
            get_logger().warning("credentials not read again", extra={**said, "error": type(error).__name__})
            return None
        # The adapter's own line, which raises the alarm, does not know whose credentials they are.
        get_logger().warning(
            "credentials refused", extra={**said, "version": version[0], "renewed": renewed is not None}
        )
        return renewed

    def _at(self, where: Whereabouts, held: MerchantAccounts) -> tuple[Gateway, _Version]:
        stored = held.accounts.get(where.account)
        if stored is None:
            raise CredentialsUnavailable("There are no credentials for this payment's account. Nothing was sent.")
        is_own = stored.kind is AccountKind.OWN
        version = (stored.version, 0 if is_own else self._platform_keys().version)
        with self._lock:
            built, gateway = self._built.get(where, (None, None))
        if gateway is None or built != version:
            gateway = self._make(where, open_key(self._cipher(), held, where.account) if is_own else None)
            with self._lock:
                self._built[where] = (version, gateway)
                self._built.move_to_end(where)
                while len(self._built) > MAX_CACHED_GATEWAYS:
                    self._built.popitem(last=False)
        return gateway, version

    def _make(self, where: Whereabouts, own: str | None) -> Gateway:
        """Return the adapter with the account's ``own`` key, or with the platform's for a connected account."""
        configured = self._settings.gateways.get(where.gateway)
        if configured is None:
            raise GatewayUnavailable(f"The gateway {where.gateway!r} is not configured.")
        there = at_account(configured, where.account, connected=own is None)
        settings = replace(self._settings, gateways={**self._settings.gateways, where.gateway: there})

        def secrets() -> Mapping[str, str]:
            return self._platform_keys().secrets() if own is None else {secret_name(configured): own}

        try:
            return make_gateway(settings, where.gateway, secrets, self._clock, self._database, where)
        except MisconfiguredError as error:
            raise CredentialsUnavailable(error.detail) from None

    def _credentials(self) -> CredentialCache:
        if self._cache is None:
            self._cache = CredentialCache(self._database(), self._clock)
        return self._cache
