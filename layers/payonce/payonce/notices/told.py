"""What gateways' events have told, kept for gateways that can't be asked (``NoticeBook``).

An event that tells of an end is kept in one transaction with what it tells, under each name of the operation, and under
its charge. A lookup reads these by their keys, strongly consistent: an index could be behind the event that has caused
the lookup.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from payonce.domain.gateway import ChargeTold, OperationKind
from payonce.domain.gateway_address import PLATFORM
from payonce.notices.kept import RETENTION_SECONDS, dispute_of, outcome_of, outcome_to_data
from payonce.ports import Adjust, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.domain.gateway import DisputeNotice, Notice, NoticeOutcome
    from payonce.domain.gateway_address import Whereabouts
    from payonce.ports import Database, Item, Write

_TOLD, _DISPUTED = "told_", "disputed_"  # each begins the names of attributes that hold one outcome, or one dispute's
_REFERENCE = "payment_reference"


def told_writes(gateway: str, notice: Notice, *, now_ms: int, signed_by: str = "") -> list[Write]:
    """Return the writes that keep what ``notice`` tells; none where it tells of no end and no dispute.

    They belong into the transaction that keeps the notice for the first time. ``signed_by`` is the merchant whose own
    secret has signed it, "" for the platform's.
    """
    place = _place(gateway, signed_by, notice.account or PLATFORM)
    suffix = hashlib.sha256(notice.notice_id.encode()).hexdigest()[:16]
    outcome, dispute, charge_id = notice.outcome, notice.dispute, notice.gateway_charge_id
    writes: list[Write] = []
    if outcome is not None:
        told = {_TOLD + suffix: {**outcome_to_data(outcome), "told_at_ms": now_ms}}
        names = dict.fromkeys((notice.gateway_reference, outcome.gateway_operation_id))
        writes += [_kept(_key(place, name), told, now_ms) for name in names if name is not None]
        if charge_id is not None:
            of_payment = outcome.kind in {OperationKind.PAYMENT, OperationKind.SETUP}
            of_charge = {_REFERENCE: notice.gateway_reference} if of_payment and notice.gateway_reference else told
            writes.append(_kept(_charge_key(place, charge_id), of_charge, now_ms))
    if dispute is not None and charge_id is not None:
        said = {_DISPUTED + suffix: {**asdict(dispute), "told_at_ms": now_ms}}
        writes.append(_kept(_charge_key(place, charge_id), said, now_ms))
    return writes


@dataclass(frozen=True, slots=True)
class Told:
    """What one event has told, and when it was received (epoch milliseconds): an outcome or a dispute."""

    told_at_ms: int
    outcome: NoticeOutcome | None = None
    dispute: DisputeNotice | None = None


class KeptNoticeBook:
    """``NoticeBook`` in the table of gateways' events, of one account at the gateway.

    It knows what the platform's secret has signed about that account and, where it is a merchant's, what the merchant's
    own secret has: never what another merchant has signed, whatever that names.
    """

    def __init__(self, database: Database, where: Whereabouts | None = None) -> None:
        self._database = database
        self._account = PLATFORM if where is None else where.account
        self._signers = [""] if where is None or not where.merchant_id else ["", where.merchant_id]

    def outcomes(self, gateway: str, names: Sequence[str]) -> Sequence[NoticeOutcome]:
        """See ``NoticeBook``. It costs one round trip."""
        keys = [{"id": _key(place, name)} for name in dict.fromkeys(names) for place in self._places(gateway)]
        items = self._database.get_many(Table.NOTICES, keys) if keys else []
        return [outcome_of(told) for told in _by_age(items, _TOLD)]

    def charge(self, gateway: str, gateway_charge_id: str) -> ChargeTold:
        """See ``NoticeBook``. It costs one round trip, of a merchant's account two."""
        keys = [{"id": _charge_key(place, gateway_charge_id)} for place in self._places(gateway)]
        items = [item for key in keys if (item := self._database.get(Table.NOTICES, key)) is not None]
        return ChargeTold(
            gateway_reference=next((item[_REFERENCE] for item in items if _REFERENCE in item), None),
            outcomes=tuple(outcome_of(told) for told in _by_age(items, _TOLD)),
            disputes=tuple(
                dispute_of({name: value for name, value in said.items() if name != "told_at_ms"})
                for said in _by_age(items, _DISPUTED)
            ),
        )

    def told(self, gateway: str, names: Sequence[str], gateway_charge_id: str | None) -> list[Told]:
        """Return what events have told of operations with one of ``names`` and of the charge, oldest first.

        It costs one round trip, and is for people: it names the times, which ``outcomes`` and ``charge`` leave out.
        """
        keys = [_key(place, name) for name in dict.fromkeys(names) for place in self._places(gateway)]
        if gateway_charge_id is not None:
            keys += [_charge_key(place, gateway_charge_id) for place in self._places(gateway)]
        items = self._database.get_many(Table.NOTICES, [{"id": key} for key in keys]) if keys else []
        said = [Told(each["told_at_ms"], outcome=outcome_of(each)) for each in _by_age(items, _TOLD)]
        for each in _by_age(items, _DISPUTED):
            of_dispute = {name: value for name, value in each.items() if name != "told_at_ms"}
            said.append(Told(each["told_at_ms"], dispute=dispute_of(of_dispute)))
        return sorted(said, key=lambda one: one.told_at_ms)

    def _places(self, gateway: str) -> list[str]:
        return [_place(gateway, signer, self._account) for signer in self._signers]


def _kept(key: str, told: dict[str, Any], now_ms: int) -> Write:
    return Adjust(
        table=Table.NOTICES,
        key={"id": key},
        set={**told, "purge_at": now_ms // 1000 + RETENTION_SECONDS},
        upsert=True,
    )


def _by_age(items: Sequence[Item], prefix: str) -> list[Any]:
    # An outcome is kept under several names, but once for each event.
    told = {name: value for item in items for name, value in item.items() if name.startswith(prefix)}
    return [value for _, value in sorted(told.items(), key=lambda entry: (entry[1]["told_at_ms"], entry[0]))]


def _place(gateway: str, signed_by: str, account: str) -> str:
    # No gateway's name has "@", so what a merchant has signed is never read as the platform's.
    return f"@{signed_by}@{account}#{gateway}" if signed_by or account != PLATFORM else gateway


def _key(place: str, name: str) -> str:
    # No key of an event begins so, because no gateway is called "told".
    return f"told#{place}#{name}"


def _charge_key(place: str, charge_id: str) -> str:
    return f"charge_told#{place}#{charge_id}"
