"""A form that was refused, given back: what was typed is in it again, with what is wrong beside its field.

Only a form that passed every check is given back to be sent once more. What a form held whose session has ended, or
which has another session's token, is shown to be copied: it gets no token that would let it pass.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from payonce.console.form import Field, Kind
from payonce.domain.errors import KeyExpired, KeyReused, RequestRejected

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from payonce.console.exchange import Exchange
    from payonce.console.form import Choices, Form

# Where a form leads that is on several pages, which its own field names.
PLACE = re.compile(r"/(?:keys|payments/pay_[0-9A-Z]{26})", re.ASCII)
NEXT = "next"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A field with what was typed into it, and what is wrong with it, "" if nothing is said of it."""

    field: Field
    value: str
    options: Choices
    wrong: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenBack:
    """A refused form. ``page`` is the path of the page it came from, and ``action`` where it is sent.

    ``key`` is its own key, "" for a new one. Where ``may_act`` is false it is only shown.
    """

    form: Form
    action: str
    page: str
    key: str
    hidden: Mapping[str, str]
    drawn: Sequence[Drawn]
    may_act: bool

    @property
    def is_worth_copying(self) -> bool:
        """Whether it holds text that somebody has written."""
        return any(each.value for each in self.drawn if each.field.kind in (Kind.TEXT, Kind.LONG))


def given_back(exchange: Exchange, error: Exception) -> GivenBack | None:
    """Return the form of this request as it is given back after ``error``, ``None`` where none was read."""
    sent = exchange.sent
    if sent is None or sent.action.form is None or sent.fields is None:
        return None
    form, fields, named = sent.action.form, sent.fields, getattr(error, "extensions", {})
    hidden = [each.name for each in form.fields if each.kind is Kind.HIDDEN]
    services = exchange.parts.application
    drawn = [
        Drawn(
            field=each,
            value=fields.get(each.name, ""),
            options=each.choices(services) if each.choices is not None else (),
            wrong=str(error) if named.get("field") == each.name else "",
        )
        for each in form.fields
        if each.kind is not Kind.HIDDEN and _is_for(exchange, each, fields)
    ]
    return GivenBack(
        form=form,
        action=_filled(sent.action.path, sent.parameters),
        page=place if PLACE.fullmatch(place := fields.get(NEXT, "")) else _filled(form.page, sent.parameters),
        key="" if _did_nothing(error) else fields.get("key", ""),
        # The refusal says what has changed, and this is its version: sent again, the form is about that one.
        hidden={name: str(named.get(name, fields.get(name, ""))) for name in hidden},
        drawn=drawn,
        may_act=sent.may_act,
    )


def _filled(path: str, parameters: Mapping[str, str]) -> str:
    return path.format_map({name: quote(text, safe="") for name, text in parameters.items()})


def _is_for(exchange: Exchange, field: Field, fields: Mapping[str, str]) -> bool:
    operator = exchange.session.operator if exchange.session is not None else None
    if operator is None or field.name in fields:
        return True
    return operator.role.includes(field.role) and not (field.platform and operator.merchant_id is not None)


def _did_nothing(error: Exception) -> bool:
    """Return whether the form's key has done nothing and never will, so that the form is another one from now on.

    What is not known to have been done, or is being done, keeps its key: sent again, the form acts once.
    """
    return isinstance(error, RequestRejected | KeyReused | KeyExpired)
