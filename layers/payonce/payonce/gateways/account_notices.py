"""Which account an event is about, and so whose payments it may speak of.

::

    POST /gateway_events/{gateway}               signed with the platform's secrets. The event names a connected account
                                                 (Stripe's account, Adyen's merchantAccountCode), or it is about the
                                                 platform's own
    POST /gateway_events/{gateway}/{merchant}    signed with a secret of one of the merchant's own accounts, and about
                                                 that account, whatever it names
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from payonce.domain.errors import NoticeRefused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from payonce.domain.gateway import Notice
    from payonce.ports import NoticeReader


class PlatformNotices:
    """``NoticeReader`` of the platform's events. ``own_account``: the platform's account, as its events name it."""

    def __init__(self, reader: NoticeReader, own_account: str) -> None:
        self._reader = reader
        self._own_account = own_account

    def read(self, body: bytes, headers: Mapping[str, str], *, now_ms: int) -> Sequence[Notice]:
        """See ``NoticeReader``. An event about the platform's own account names none."""
        read = self._reader.read(body, headers, now_ms=now_ms)
        return [replace(each, account=None) if each.account == self._own_account else each for each in read]


class MerchantNotices:
    """``NoticeReader`` of the events of a merchant's own accounts: ``readers`` by account, each with its secrets."""

    def __init__(self, readers: Mapping[str, NoticeReader]) -> None:
        self._readers = readers

    def read(self, body: bytes, headers: Mapping[str, str], *, now_ms: int) -> Sequence[Notice]:
        """See ``NoticeReader``. The notices are about the account whose secret has signed them, or are refused."""
        refused = NoticeRefused("No account of this merchant has secrets for events.")
        for account, reader in self._readers.items():
            try:
                read = reader.read(body, headers, now_ms=now_ms)
            except NoticeRefused as error:
                refused = error
                continue
            if any(each.account not in {None, account} for each in read):
                raise NoticeRefused("The event is about another account than the one whose secret has signed it.")
            return [replace(each, account=account) for each in read]
        raise refused
