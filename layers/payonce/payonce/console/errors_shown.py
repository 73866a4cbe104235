"""Errors as pages: what is wrong, and what to do about it."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from payonce.console.form import Field
from payonce.console.page import MerchantNotChosen, Rendered
from payonce.console.refused import Drawn
from payonce.console.rendering import MERCHANT_PARAMETER, NO_FILTERS
from payonce.domain.errors import BodyMalformed, CursorUnknown, StoreUnavailable
from payonce.domain.problems import INTERNAL, problem_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from payonce.domain.errors import PayonceError

TEMPLATE = "error.html"
CHANGE = "Change what the sentence names, and send it again."
_NOTHING: Mapping[str, str] = MappingProxyType({})
_TITLES: Mapping[int, str] = MappingProxyType(
    {
        401: "You are not signed in",
        403: "You may not do this",
        404: "There is no such page",
        429: "Too many requests",
        503: "This can't be read at the moment",
        504: "It is not known whether this was done",
    }
)
_ADVICE: Mapping[int, str] = MappingProxyType(
    {
        400: "Go back and change what the sentence names.",
        401: "Sign in with your key.",
        403: "Ask somebody with the role, or sign in with another key.",
        404: "Look for it in a list: it may be of another merchant, or its address may be incomplete.",
        409: "Open the page again to see how it stands now, and decide then.",
        413: "Send a smaller file.",
        422: "Mend what the sentence names, and send it again.",
        429: "Wait a little, and load the page again.",
        500: "Load the page again. If it stays so, tell whoever operates payonce the request's id.",
        503: "Nothing was changed. Load the page again in a moment.",
        504: "Look whether it was done before you do it again.",
    }
)

# What filters are called on their pages.
_LABELS: Mapping[str, str] = MappingProxyType(
    {
        "q": "Find by any id, reference, key, customer or token",
        "key": "Key, as the merchant sent it",
        "min": "Amount from",
        "max": "Amount to",
        "amount": "At least the amount",
        "age": "At least days old",
        "from": "From (UTC)",
        "until": "Until (UTC)",
        "payer": "Payer's token or charge at the gateway",
        "assignee": "Assigned to (name, me, -)",
        "sort": "Order",
    }
)


def label_of(name: str) -> str:
    """Return the label of a filter."""
    return _LABELS.get(name, name.capitalize())


def error_page(error: PayonceError, request_id: str, query: Mapping[str, str] = _NOTHING) -> Rendered:
    """Return the page of an error of the tree, with the status of its problem type.

    ``query`` is what was asked for: where a merchant has to be chosen first, it is asked for again with the merchant.
    """
    if isinstance(error, MerchantNotChosen):
        asked = {name: text for name, text in query.items() if text and name != MERCHANT_PARAMETER}
        return Rendered("merchant.html", {"detail": error.detail, "asked": asked})
    if isinstance(error, CursorUnknown):
        detail = "The address is of another list, of other filters, or made up. Nothing is wrong with the list."
        return _page(404, "The list has no such page", detail, request_id, is_list=True)
    problem = problem_of(error)
    if isinstance(error, BodyMalformed) and query:
        # A filter that was refused: what was typed is given back, as of a form that acts.
        wrong = error.extensions.get("field", "")
        names = [name for name in query if name not in NO_FILTERS]
        # A field that was left out is wrong, too: it is asked for.
        names += [wrong] if wrong and wrong not in names else []
        fields = [
            Drawn(
                field=Field(name=name, label=label_of(name), required=False),
                value=query.get(name, ""),
                options=(),
                wrong=error.detail if name == wrong else "",
            )
            for name in names
        ]
        return _page(problem.status, problem.title, error.detail, request_id, CHANGE, is_list=True, asked=fields)
    if isinstance(error, StoreUnavailable):
        # Its own sentence is for a program: it names AWS's code, and the same key.
        detail = "The database did not answer as it should. The log has the reason."
        return _page(problem.status, _TITLES[503], detail, request_id)
    if problem.status == INTERNAL.status:
        return unforeseen_page(request_id)
    return _page(problem.status, _TITLES.get(problem.status, problem.title), error.detail, request_id)


def unforeseen_page(request_id: str) -> Rendered:
    """Return the page of what nobody foresaw. It does not say what the request did."""
    return _page(
        INTERNAL.status, INTERNAL.title, "The request was not completed, and the log has the reason.", request_id
    )


def ended_page() -> Rendered:
    """Return the page for a form whose session has ended: it is given back to be copied."""
    detail = "Your session has ended, and nothing was done."
    return _page(401, "You are not signed in", detail, "", "Copy what you typed, sign in, and send it again.")


def _page(
    status: int,
    title: str,
    detail: str,
    request_id: str,
    advice: str = "",
    *,
    is_list: bool = False,
    asked: Sequence[Drawn] = (),
) -> Rendered:
    context = {"title": title, "detail": detail, "advice": advice or _ADVICE.get(status, ""), "status": status}
    return Rendered(
        TEMPLATE, {**context, "request_id": request_id, "given_back": None, "is_list": is_list, "asked": asked}, status
    )
