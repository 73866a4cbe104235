"""The tables ``[[tolerances]]`` and ``[[rules]]`` of the policy. See docs/reconciliation.md.

A rule's pattern is searched in texts that strangers write. Only what both RE2 and Python understand alike is taken,
without what RE2 lacks: https://github.com/google/re2/wiki/Syntax
"""

from __future__ import annotations

import re
import warnings
from typing import Annotated, Final, Literal

from payonce.domain.currencies import MINOR_UNIT_EXPONENTS
from payonce.extras import needs
from payonce.reconciliation.manual import OwnRule, RowSource, Tolerance

with needs("reconcile"):
    from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

MAX_TOLERANCES: Final = 200  # some gateways in some currencies, twice
MAX_RULES: Final = 200  # each is one look at every row of its source
MAX_PATTERN_CHARACTERS: Final = 200
MAX_REPEATS: Final = 100  # of one character or class; RE2 refuses more than 1,000
MAX_TOLERANCE_MINOR: Final = 10**9  # ten million in most currencies: more is a slip in the unit
FIELDS: Final[dict[RowSource, tuple[str, ...]]] = {
    "ledger": ("entry_id", "merchant_id", "payment_id", "reference", "gateway_payment_id"),
    "gateway": ("transaction_id", "kind", "category", "reference", "gateway_payment_id", "payment_method", "payout_id"),
    "bank": ("description", "counterparty", "reference", "end_to_end_id"),
}
# (?:...) and a leading (?i) are the only groups of their kind that are taken.
_SPECIAL_GROUP: Final = re.compile(r"\(\?(?!:)")
_TOKEN: Final = re.compile(
    r"\\(?P<escaped>.)|(?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])|\{(?P<counted>[^}]*)\}|(?P<special>[*+?}][+])|(?P<other>.)",
    re.DOTALL,
)
_CLASSES: Final = frozenset("dDwWsS")
_Label = Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[^\x00-\x1f\x7f|]+$")]
_Name = Annotated[str, Field(min_length=1, max_length=100)]
_Minor = Annotated[int, Field(ge=0, le=MAX_TOLERANCE_MINOR)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _in_use(code: str | None) -> str | None:
    if code is not None and code not in MINOR_UNIT_EXPONENTS:
        raise ValueError("is not an ISO 4217 currency in use, in capitals")
    return code


class TolerancePolicy(_Table):
    """``[[tolerances]]``: by how much the amounts of a pair of one gateway and currency may differ, and why.

    With ``payout = true`` it is of payouts and their bank lines, which banks take charges of. Of ``amount_minor`` and
    ``basis_points`` one is given; of both, both have to hold.
    """

    gateway: _Name
    currency: str
    reason: Annotated[str, Field(min_length=1, max_length=200)]
    amount_minor: _Minor | None = None
    basis_points: Annotated[int, Field(ge=0, le=1_000)] | None = None  # a tenth: more is another amount
    payout: bool = False

    _currency = field_validator("currency")(_in_use)

    @model_validator(mode="after")
    def _is_bounded(self) -> TolerancePolicy:
        if self.amount_minor is None and self.basis_points is None:
            raise ValueError("needs amount_minor, basis_points, or both")
        return self

    def tolerance(self) -> Tolerance:
        """Return it as the matching rules take it."""
        return Tolerance(**self.model_dump())


class OwnRulePolicy(_Table):
    """``[[rules]]``: rows whose ``field`` has the pattern become open items called ``label``, and are not compared.

    The conditions narrow it. Amounts are without their sign; ``from_amount_minor`` is included, ``until_amount_minor``
    is not.
    """

    source: Literal["ledger", "gateway", "bank"]
    field: str
    pattern: Annotated[str, Field(min_length=1, max_length=MAX_PATTERN_CHARACTERS)]
    label: _Label
    sign: Literal["+", "-"] | None = None
    from_amount_minor: Annotated[int, Field(ge=0)] | None = None
    until_amount_minor: Annotated[int, Field(ge=1)] | None = None
    currency: str | None = None
    gateway: _Name | None = None
    account: _Name | None = None

    _currency = field_validator("currency")(_in_use)

    @field_validator("pattern")
    @classmethod
    def _is_safe(cls, pattern: str) -> str:
        if (wrong := unsafe(pattern)) is not None:
            raise ValueError(wrong)
        return pattern

    @model_validator(mode="after")
    def _fits_its_source(self) -> OwnRulePolicy:
        if self.field not in FIELDS[self.source]:
            raise ValueError(f"a row of {self.source} has no field {self.field}: {', '.join(FIELDS[self.source])}")
        if self.account is not None and self.source != "bank":
            raise ValueError("account: only the bank's lines have one")
        if self.gateway is not None and self.source == "bank":
            raise ValueError("gateway: the bank's lines have none")
        return self

    def rule(self) -> OwnRule:
        """Return it as the engine takes it."""
        return OwnRule(
            source=self.source,
            field=self.field,
            pattern=self.pattern,
            label=self.label,
            sign=None if self.sign is None else (1 if self.sign == "+" else -1),
            from_minor=self.from_amount_minor,
            until_minor=self.until_amount_minor,
            currency=self.currency,
            gateway=self.gateway,
            account=self.account,
        )


def unsafe(pattern: str) -> str | None:
    """Return why a pattern is not taken, ``None`` if it is one that RE2 and Python understand alike."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of what Python may read otherwise one day
            re.compile(pattern)
    except (re.error, Warning, OverflowError, RecursionError) as error:
        return f"is not a regular expression: {error}"
    rest = pattern.removeprefix("(?i)")
    if _SPECIAL_GROUP.search(rest):
        return "groups are ( ) or (?: ), and (?i) may stand first"
    previous = ""
    for token in _TOKEN.finditer(rest):
        if (wrong := _unsafe_token(token, previous)) is not None:
            return wrong
        previous = token[0]
    return None


def _unsafe_token(token: re.Match[str], previous: str) -> str | None:
    if (escaped := token["escaped"]) is not None:
        return None if escaped in _CLASSES | {"b"} or _is_mark(escaped) else f"\\{escaped} is not taken"
    if (members := token["set"]) is not None:
        inside = re.findall(r"\\(.)", members, re.DOTALL)
        return next(
            (f"\\{one} is not taken in [ ]" for one in inside if one not in _CLASSES and not _is_mark(one)), None
        )
    if (counted := token["counted"]) is not None:
        if not re.fullmatch(r"[0-9]{1,3}(,([0-9]{1,3})?)?", counted, re.ASCII):
            return "{ } holds one number or two; write \\{ for the character"
        if max(map(int, re.findall(r"[0-9]+", counted))) > MAX_REPEATS:
            return f"nothing is repeated more than {MAX_REPEATS} times"
        return "a group can't be repeated by { }" if previous == ")" else None
    possessive = token["special"] or (token[0] == "+" and previous.startswith("{") and previous.endswith("}"))
    return "+ after a repetition is not taken" if possessive else None


def _is_mark(character: str) -> bool:
    return character.isascii() and character.isprintable() and not character.isalnum() and character != "_"
