"""What tests of saved methods do at a till: set up, charge what was saved, and look it up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.contract.sandbox_bank.conftest import Till

CUSTOMER = "cus_1"


def set_up(till: Till, token: str, reference: str = "set_1", **values: Any) -> tuple[int, dict[str, Any]]:
    """Ask for a set-up. Return the status and the body."""
    headers = {"Idempotency-Key": values.pop("key")} if "key" in values else {}
    body = {"reference": reference, "payment_method": token, "customer": CUSTOMER, **values}
    return till.ask("POST", "/setups", body, **headers)


def setup(till: Till, reference: str = "set_1") -> dict[str, Any]:
    """Return the only set-up with ``reference``, as a lookup shows it."""
    (found,) = till.ask("GET", f"/setups?reference={reference}")[1]["setups"]
    row: dict[str, Any] = found
    return row


def saved(till: Till) -> str:
    """Save a method that needs nobody. Return its id."""
    status, body = set_up(till, "tok_ok")
    assert (status, body["status"]) == (201, "succeeded"), body
    return str(body["saved_method"])


def saved_methods(till: Till, customer: str = CUSTOMER) -> list[dict[str, Any]]:
    """Return a customer's saved methods."""
    rows: list[dict[str, Any]] = till.ask("GET", f"/customers/{customer}/saved_methods")[1]["saved_methods"]
    return rows


def charge_saved(till: Till, method: str, reference: str = "pay_1", **values: Any) -> tuple[int, dict[str, Any]]:
    """Charge 10.00 EUR of a saved method while its payer is absent. Return the status and the body."""
    body = {"reference": reference, "amount_minor": 1_000, "currency": "EUR", "capture": "automatic"}
    return till.ask("POST", "/charges", {**body, "payment_method": method, "payer": "absent", **values})


def revoke(till: Till, method: str, reference: str = "rev_1") -> tuple[int, dict[str, Any]]:
    """Ask that a saved method's mandate is withdrawn. Return the status and the body."""
    return till.ask("POST", f"/saved_methods/{method}/revocations", {"reference": reference})
