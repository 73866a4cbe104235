"""A gateway's table as data: columns by what they mean, the gateway's words by what they are, the zone of its times.

Only what a gateway really does otherwise is a function of its own module; ``gateway_reading`` reads them all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from payonce.reconciliation.readers.gateway_cells import folded
from payonce.reconciliation.readers.rows import RowKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from payonce.reconciliation.readers.gateway_cells import Cells, Money
    from payonce.reconciliation.readers.rows import GatewayRow
    from payonce.reconciliation.readers.tables import Row

# Kinds whose rows are of a payment of ours, and what a row of a kind is where its amount has the other sign.
NAMED = frozenset(
    {
        RowKind.CHARGE,
        RowKind.CHARGE_REVERSAL,
        RowKind.REFUND,
        RowKind.REFUND_REVERSAL,
        RowKind.DISPUTE,
        RowKind.DISPUTE_REVERSAL,
        RowKind.DISPUTE_LOST,
    }
)
POSITIVE = frozenset({RowKind.CHARGE, RowKind.REFUND_REVERSAL, RowKind.DISPUTE_REVERSAL})
TURNED: Mapping[RowKind, RowKind] = MappingProxyType(
    {
        RowKind.CHARGE: RowKind.CHARGE_REVERSAL,
        RowKind.CHARGE_REVERSAL: RowKind.REFUND_REVERSAL,
        RowKind.REFUND: RowKind.REFUND_REVERSAL,
        RowKind.REFUND_REVERSAL: RowKind.REFUND,
        RowKind.DISPUTE: RowKind.DISPUTE_REVERSAL,
        RowKind.DISPUTE_REVERSAL: RowKind.DISPUTE,
        RowKind.DISPUTE_LOST: RowKind.DISPUTE_REVERSAL,
    }
)


@dataclass(frozen=True, slots=True)
class Reading:
    """All of a file: the rows of its body, what stands beside them, and the rows that were made of them."""

    body: tuple[Cells, ...]
    beside: tuple[Cells, ...]
    unread: tuple[Row, ...]
    rows: tuple[GatewayRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayTable:
    """One kind of report. Columns are named as the gateway's documentation names them.

    ``telling`` are columns by which its header is known, ``beside`` those of headers of other sections, ``mark`` what
    the first cell of a row of the body says where the file marks them. ``own_reference`` is what we gave for the
    movement alone, by kind. ``row_id`` is the column of an id that is no other row's, or else makes one of
    several; then rows of one id are numbered. ``time`` is the time of ``created`` where that is a day. ``aliases``
    are the columns' folded names in another language. ``prepared`` makes one row of several, or adds what is in a text.
    """

    telling: tuple[str, ...]
    kinds: Mapping[str, RowKind]
    word: Callable[[Cells], str]
    row_id: str | Callable[[Cells], str]
    money: Callable[[Cells, str, str], Money]
    currency: tuple[str, ...]
    created: tuple[str, ...]
    time: str | None = None
    available: tuple[str, ...] = ()
    payout_at: tuple[str, ...] = ()
    zone: tuple[str, ...] = ()
    utc: tuple[str, ...] = ()
    reference: tuple[str, ...] = ()
    own_reference: Mapping[RowKind, tuple[str, ...]] = field(default_factory=dict)
    payment_id: tuple[str, ...] = ()
    charge_payment_id: tuple[str, ...] = ()
    object_id: tuple[str, ...] = ()
    payout_id: tuple[str, ...] = ()
    payout_reference: tuple[str, ...] = ()
    method: tuple[str, ...] = ()
    country: tuple[str, ...] = ()
    presented: tuple[str, str] | None = None
    rate: str | None = None
    turned: Mapping[RowKind, RowKind] = TURNED
    month_first: bool = False
    aliases: Mapping[str, str] = field(default_factory=dict)
    mark: str | None = None
    beside: tuple[tuple[str, ...], ...] = ()
    prepared: Callable[[tuple[Cells, ...]], tuple[Cells, ...]] = lambda body: body
    is_movement: Callable[[Cells], bool] = lambda _: True
    kind_of: Callable[[str], RowKind | None] = lambda _: None
    closing: Callable[[Reading], Iterable[GatewayRow]] = lambda _: ()

    def fits(self, header: Iterable[str], columns: tuple[str, ...] | None = None) -> bool:
        """Return whether a row is the header."""
        return set(map(folded, columns or self.telling)) <= set(self.names(header))

    def names(self, header: Iterable[str]) -> tuple[str, ...]:
        """Return the folded names of a header's columns, those of another language as the documentation has them."""
        return tuple(self.aliases.get(name, name) for name in map(folded, header))
