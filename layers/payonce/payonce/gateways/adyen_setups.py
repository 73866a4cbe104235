"""Set-ups and saved methods at Adyen, as far as they are more than a payment of nothing.

::

    set-up       POST /payments of 0, with storePaymentMethod: authorised, refused, or waiting for the payer
    its token    named by the answer, and there once GET /storedPaymentMethods lists it
    revocation   DELETE /storedPaymentMethods/{id}: "the token can no longer be used with payment requests"
    revoked?     the shopper's list has it no more, whoever has removed it

https://docs.adyen.com/online-payments/tokenization/managing-tokens and the paths ``/storedPaymentMethods`` of
https://github.com/Adyen/adyen-openapi/blob/main/json/CheckoutService-v72.json.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from payonce.domain.exchange import Answered
from payonce.domain.gateway import MethodSaved, NotAllowed, NotFound, OperationKind, Pending, Succeeded, Unknown
from payonce.gateways.adyen_errors import outcome_of_failure
from payonce.gateways.adyen_tokens import stored_id_of, token_of
from payonce.gateways.json_answers import document_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.domain.exchange import Exchange
    from payonce.domain.gateway import Instruction, SubmitOutcome
    from payonce.gateways.adyen_http import Apis

_REFUSED = frozenset({400, 404, 422})


@dataclass(frozen=True, slots=True)
class ShopperMethods:
    """The stored methods of an instruction's customer. ``ask`` makes one request by the library."""

    instruction: Instruction
    merchant_account: str
    ask: Callable[[Callable[[Apis], object]], Exchange]
    gateway: str

    def with_token[Outcome](
        self, outcome: Outcome, *, answered: bool = True
    ) -> Outcome | MethodSaved | Pending | Unknown:
        """Return ``outcome``, or for a set-up that is authorised what it has saved, once the shopper has it.

        A token may come later than its authorisation, and can't be charged before ("Contract not found"). It is the one
        that the answer names, that this very authorisation has made ("firstPspReference"), or the stored method that
        was verified. ``answered``: the gateway's answer was read. Else an ``Unknown`` can be repeated, because the same
        key is answered with the token again.
        """
        if self.instruction.kind is not OperationKind.SETUP or not isinstance(outcome, Succeeded):
            return outcome
        named = outcome if isinstance(outcome, MethodSaved) else None
        charge_id, rows = outcome.gateway_charge_id, self._rows()
        if isinstance(rows, Unknown):
            # A key without the role for it: the answer has to do.
            if named is not None and isinstance(rows, NotAllowed):
                return outcome
            reason = rows.reason
        else:
            reason = "it is authorised, and the shopper's list lacks what it stores"
            made = [token_of(row["id"]) for row in rows if row.get("firstPspReference") == charge_id]
            given = token_of(stored_id_of(self.instruction))
            listed = {token_of(row["id"]) for row in rows}
            for token in [named.token] if named is not None else [*made, given]:
                if token is not None and token in listed:
                    return MethodSaved(charge_id, charge_id, token)
        return Pending(charge_id, reason) if answered else Unknown(reason, repeatable=True)

    def revoke(self) -> SubmitOutcome:
        """Remove the stored method. It needs no key: what was removed can't be removed again."""
        stored_id, instruction = quote(stored_id_of(self.instruction) or "", safe=""), self.instruction
        query = self._query()
        exchanged = self.ask(
            lambda apis: apis.recurring.delete_token_for_stored_payment_details(stored_id, query_parameters=query)
        )
        if isinstance(exchanged, Answered) and exchanged.status in {200, 204}:
            return _revoked(instruction)
        if isinstance(exchanged, Answered) and exchanged.status in _REFUSED:
            found = self.find_revocation()
            if not isinstance(found, NotFound):
                return Unknown(found.reason, repeatable=True) if isinstance(found, Unknown) else found
        outcome = outcome_of_failure(exchanged, gateway=self.gateway, reference=instruction.gateway_reference)
        return Unknown(outcome.reason, repeatable=True) if isinstance(outcome, Unknown) else outcome

    def find_revocation(self) -> Succeeded | NotFound | Unknown:
        """Return whether the shopper has the stored method no more, whoever has caused that."""
        rows = self._rows()
        if isinstance(rows, Unknown):
            return rows
        there = any(row["id"] == stored_id_of(self.instruction) for row in rows)
        return NotFound() if there else _revoked(self.instruction)

    def _rows(self) -> list[dict[str, Any]] | Unknown:
        """Return all that the shopper has stored. Half a list is ``Unknown``: what it lacks counts as removed."""
        query = self._query()
        exchanged = self.ask(lambda apis: apis.recurring.get_tokens_for_stored_payment_details(query_parameters=query))
        if not isinstance(exchanged, Answered):
            return Unknown(exchanged.reason)
        if exchanged.status != 200:
            return (NotAllowed if exchanged.status in {401, 403} else Unknown)(f"HTTP {exchanged.status}")
        document = document_of(exchanged.body)
        named = {"shopperReference": self.instruction.customer, "merchantAccount": self.merchant_account}
        if any(document.get(name, expected) != expected for name, expected in named.items()):
            return Unknown("the list is another shopper's")
        # A shopper who has nothing may have no list, but is named.
        rows = document.get("storedPaymentMethods", [] if "shopperReference" in document else None)
        if not isinstance(rows, list) or not all(
            isinstance(row, dict) and isinstance(row.get("id"), str) for row in rows
        ):
            return Unknown("the list is not usable")
        return rows

    def _query(self) -> dict[str, str]:
        # The library does not escape them.
        given = {"shopperReference": self.instruction.customer or "", "merchantAccount": self.merchant_account}
        return {name: quote(value, safe="") for name, value in given.items()}


def _revoked(instruction: Instruction) -> Succeeded:
    return Succeeded(instruction.payment_method, instruction.payment_method)
