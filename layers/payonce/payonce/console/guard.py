"""Who may do what: the only place that compares an operator with a route, before any view or act is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.errors import Forbidden, NotFound, PayonceError

if TYPE_CHECKING:
    from payonce.console.operators import Operator
    from payonce.console.page import Action, Page

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


def merchant_for(operator: Operator, asked: str) -> str | None:
    """Return the merchant whose data may be read and changed, or ``None`` while none is chosen.

    An operator who is bound to a merchant gets that one. Raises ``NotFound`` when ``asked`` names another: whether it
    exists is not told.
    """
    if operator.merchant_id is None:
        return asked or None
    if asked and asked != operator.merchant_id:
        raise NotFound(_NO_SUCH_PAGE)
    return operator.merchant_id
