"""One box that finds anything by a name of it: which names can be found, by which key or index, and which can't.

Every name is looked up where it is a key. Nothing is scanned, and the number of reads does not depend on how much is
stored. What has neither key nor index, a payer's token at the gateway and a charge's id there, can only be looked for
among payments, page by page: ``Search.look_through`` is the query of that list, and the page says that it isn't exact.

Allowed: dynamodb:GetItem, BatchGetItem on IdempotencyTable, PaymentsTable, OutboxTable, EndpointsTable,
DeliveriesTable, NoticesTable and ReconciliationTable; dynamodb:Query on EndpointsTable, on IdempotencyTable's index
open-leases, PaymentsTable's operations-by-gateway-reference, OutboxTable's payments-by-reference and
payments-by-customer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.console.views.asked import MAX_TEXT_CHARACTERS
from payonce.console.views.finders import FINDERS, Hit
from payonce.console.views.payments import row_of
from payonce.domain.errors import BodyMalformed
from payonce.payments.representation import payment_view
from payonce.payments.stored_payments import find_payments

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.console.views.payments import PaymentRow
    from payonce.console.views.sources import Sources


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What was found. ``payments`` are the rows of hits that are payments, by id, as they are stored now.

    ``look_through``: the query of the list that looks for the text among payments, newest first.
    """

    text: str
    hits: tuple[Hit, ...]
    payments: Mapping[str, PaymentRow]
    look_through: Mapping[str, str]


def search(sources: Sources, merchant_id: str, text: str) -> Search:
    """Return all that the merchant has under the name ``text``. Raises ``BodyMalformed`` for an empty or a long one."""
    text = text.strip()
    if not text or len(text) > MAX_TEXT_CHARACTERS:
        raise BodyMalformed(f"Search for a name of 1 to {MAX_TEXT_CHARACTERS} characters.")
    found = {
        (hit.what, hit.path, hit.name): hit for finder in FINDERS for hit in finder.hits(sources, merchant_id, text)
    }
    ids = list(dict.fromkeys(hit.payment_id for hit in found.values() if hit.payment_id))[:100]
    payments = find_payments(sources.database, merchant_id, ids)
    return Search(
        text=text,
        hits=tuple(found.values()),
        payments={identity: row_of(payment_view(payment)) for identity, payment in payments.items()},
        look_through={"payer": text},
    )
