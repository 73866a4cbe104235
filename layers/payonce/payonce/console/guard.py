"""Who may do what: the only place that compares an operator with a route, before any view or act is called."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from payonce.domain.errors import BodyMalformed, Forbidden, NotFound, PayonceError

if TYPE_CHECKING:
    from payonce.console.operators import Operator
    from payonce.console.page import Action, Page

_MERCHANT = re.compile(r"mer_[0-9A-Za-z]{1,40}")
_NO_SUCH_PAGE = "There is no such page."


def require_role(route: Page | Action, operator: Operator) -> None:
    """Raise ``Forbidden`` unless the operator's role is the route's, or one that may do more.

    Raises ``NotFound`` for a route of the whole platform, where the operator has one merchant: it has no such route.
    """
    if route.platform and operator.merchant_id is not None:
        raise NotFound(_NO_SUCH_PAGE)
    if not operator.role.includes(route.role):
        raise Forbidden(f"You are {operator.role.value}, and this takes the role {route.role.value}. Nothing was done.")


def may(route: Page | Action, operator: Operator) -> bool:
    """Return whether ``require_role`` lets the operator pass."""
    try:
        require_role(route, operator)
    except PayonceError:
        return False
    return True


def merchant_for(operator: Operator, *asked: str) -> str | None:
    """Return the merchant whose data may be read and changed, or ``None`` while none is chosen.

    ``asked`` are the ids in the address and in the form, "" where there is none. An operator who is bound to a merchant
    gets that one. Raises ``NotFound`` when another is asked for: whether it exists is not told. Raises
    ``BodyMalformed`` for what is no merchant's id, and for two of them.
    """
    named = {merchant_id for merchant_id in asked if merchant_id}
    if operator.merchant_id is not None:
        if named - {operator.merchant_id}:
            raise NotFound(_NO_SUCH_PAGE)
        return operator.merchant_id
    if not all(map(_MERCHANT.fullmatch, named)):
        raise BodyMalformed("A merchant's id looks like mer_01JD0Z2VJ6K0Q5M8YB3W7T9XRA.")
    if len(named) > 1:
        raise BodyMalformed("The form is about another merchant than its address. Open the page again.")
    return named.pop() if named else None
