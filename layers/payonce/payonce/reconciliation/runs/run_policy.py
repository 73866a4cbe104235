"""Parses the operator's policy for runs, a TOML file, into ``RunSettings``. See docs/reconciliation.md."""

from __future__ import annotations

import tomllib
from collections import Counter
from datetime import date  # noqa: TC003 - pydantic reads the annotations
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Literal

from payonce.domain.currencies import MINOR_UNIT_EXPONENTS
from payonce.domain.durations import DAY_MS
from payonce.domain.errors import MisconfiguredError
from payonce.extras import needs
from payonce.reconciliation.matching.normalise import day_number
from payonce.reconciliation.model import FeeRule, FxRate, LedgerKind, RunSettings
from payonce.reconciliation.readers.mapping import ColumnMapping
from payonce.reconciliation.readers.values import minor_rate_millionths
from payonce.reconciliation.readers.zones import known_zone
from payonce.reconciliation.runs.rule_policy import MAX_RULES, MAX_TOLERANCES, OwnRulePolicy, TolerancePolicy

with needs("reconcile"):
    from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

if TYPE_CHECKING:
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from payonce.reconciliation.manual import Match

MAX_HOURS = 24 * 366  # a year: nothing is in transit longer, so a larger number has the wrong unit
MAX_DAYS = 366
MAX_MAPPINGS = 50  # each is tried on a table of no format of its own
MAX_BASIS_POINTS = 10_000  # all of the amount
MAX_FIXED_MINOR = 10**9  # ten million in most currencies: more is a slip in the unit
MAX_RATES = 10_000  # a year of some thirty pairs
DEFAULTS = RunSettings(as_of_ms=0)

Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]

Hours = Annotated[int, Field(ge=0, le=MAX_HOURS)]
BasisPoints = Annotated[int, Field(ge=0, le=MAX_BASIS_POINTS)]
Minor = Annotated[int, Field(ge=0, le=MAX_FIXED_MINOR)]


class _Table(BaseModel):
    # Strict: 24.5 hours and "24" are mistakes, and an unknown setting would silently have no effect.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class FeePolicy(_Table):
    """``[[fees]]``: what one gateway may take of a charge or a refund in one currency, of all or of those rows alone.

    The first that applies to a row is its rule. ``from_amount_minor`` and ``from_date`` are included,
    ``until_amount_minor`` and ``until_date`` are not; a date begins at midnight UTC.
    """

    gateway: Annotated[str, Field(min_length=1, max_length=100)]
    currency: str
    fixed_minor: Minor = 0
    basis_points: BasisPoints = 0
    tolerance_minor: Minor = 1
    kind: Literal["charge", "refund"] = "charge"
    payment_method: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    card_countries: Annotated[list[Country], Field(max_length=300)] = Field(default_factory=list)
    from_amount_minor: Annotated[int, Field(ge=0)] | None = None
    until_amount_minor: Annotated[int, Field(ge=1)] | None = None
    from_date: date | None = None
    until_date: date | None = None

    @field_validator("currency")
    @classmethod
    def _in_use(cls, code: str) -> str:
        if code not in MINOR_UNIT_EXPONENTS:
            raise ValueError("is not an ISO 4217 currency in use, in capitals")
        return code

    def rule(self) -> FeeRule:
        """Return it as the rules take it."""
        return FeeRule(
            gateway=self.gateway,
            currency=self.currency,
            fixed_minor=self.fixed_minor,
            basis_points=self.basis_points,
            tolerance_minor=self.tolerance_minor,
            kind=LedgerKind(self.kind),
            payment_method=None if self.payment_method is None else self.payment_method.lower(),
            card_countries=tuple(self.card_countries),
            from_minor=self.from_amount_minor,
            until_minor=self.until_amount_minor,
            from_ms=_midnight_ms(self.from_date),
            until_ms=_midnight_ms(self.until_date),
        )


class RatePolicy(_Table):
    """``[[rates]]``: one day's rate; ``rate`` is a text, how many ``currency`` one ``presented_currency`` is."""

    presented_currency: str
    currency: str
    day: date
    rate: Annotated[str, Field(max_length=30)]

    @model_validator(mode="after")
    def _is_rate(self) -> RatePolicy:
        self.fx_rate()
        return self

    def fx_rate(self) -> FxRate:
        """Return it as the rules take it. Raises ``ValueError``."""
        for code in (self.presented_currency, self.currency):
            if code not in MINOR_UNIT_EXPONENTS:
                raise ValueError(f"{code} is not an ISO 4217 currency in use, in capitals")
        try:
            rate_millionths = minor_rate_millionths(Decimal(self.rate), self.presented_currency, self.currency)
        except InvalidOperation:
            rate_millionths = None
        if rate_millionths is None:
            raise ValueError(f"{self.rate} is not a rate, such as 0.92")
        return FxRate(
            presented_currency=self.presented_currency,
            currency=self.currency,
            day_number=day_number(self.day),
            rate_millionths=rate_millionths,
        )


def _midnight_ms(day: date | None) -> int | None:
    return None if day is None else day_number(day) * DAY_MS


class RunPolicy(_Table):
    """The whole file. Settings that it omits have the defaults of ``RunSettings``."""

    in_transit_hours: Hours = DEFAULTS.in_transit_hours
    settlement_sla_hours: Hours = DEFAULTS.settlement_sla_hours
    payout_sla_days: Annotated[int, Field(ge=0, le=MAX_DAYS)] = DEFAULTS.payout_sla_days
    fx_tolerance_basis_points: BasisPoints = DEFAULTS.fx_tolerance_basis_points
    judged_days: Annotated[int, Field(ge=1, le=MAX_DAYS)] = DEFAULTS.judged_days
    dispute_days: Annotated[int, Field(ge=1, le=MAX_DAYS)] = DEFAULTS.dispute_days
    fees: list[FeePolicy] = Field(default_factory=list)
    # Refuses a bank's file that does not prove itself, instead of reading it with the mark.
    strict: bool = False
    # Of gateways' reports whose times do not say theirs.
    time_zone: Annotated[str, Field(max_length=100)] | None = None
    mappings: Annotated[list[ColumnMapping], Field(max_length=MAX_MAPPINGS)] = Field(default_factory=list)
    rates: Annotated[list[RatePolicy], Field(max_length=MAX_RATES)] = Field(default_factory=list)
    tolerances: Annotated[list[TolerancePolicy], Field(max_length=MAX_TOLERANCES)] = Field(default_factory=list)
    rules: Annotated[list[OwnRulePolicy], Field(max_length=MAX_RULES)] = Field(default_factory=list)

    @field_validator("fees")
    @classmethod
    def _one_rule_each(cls, fees: list[FeePolicy]) -> list[FeePolicy]:
        # What stands behind a rule without conditions never applies.
        rules = [fee.rule() for fee in fees]
        ended: set[tuple[str, str, str]] = set()
        twice: set[str] = set()
        for rule in rules:
            lane = (rule.gateway, rule.currency, rule.kind.value)
            if lane in ended:
                twice.add(f"{rule.gateway} in {rule.currency}")
            if not rule.is_conditional:
                ended.add(lane)
        if twice:
            raise ValueError(f"there is more than one rule for {', '.join(sorted(twice))}")
        return fees

    @field_validator("time_zone")
    @classmethod
    def _is_zone(cls, name: str | None) -> str | None:
        if name is not None and known_zone(name) is None:
            raise ValueError(f"{name} is no time zone, such as Europe/Amsterdam")
        return name

    @property
    def zone(self) -> ZoneInfo | None:
        """The time zone, where one is stated."""
        return None if self.time_zone is None else known_zone(self.time_zone)

    @field_validator("tolerances")
    @classmethod
    def _one_tolerance_each(cls, tolerances: list[TolerancePolicy]) -> list[TolerancePolicy]:
        lanes = Counter((one.gateway, one.currency, one.payout) for one in tolerances)
        twice = [f"{gateway} in {currency}" for (gateway, currency, _), count in sorted(lanes.items()) if count > 1]
        if twice:
            raise ValueError(f"there is more than one tolerance for {', '.join(twice)}")
        return tolerances

    def settings(self, as_of_ms: int, matches: tuple[Match, ...] = ()) -> RunSettings:
        """Return the settings for the matching rules; ``matches`` are people's decisions in force."""
        return RunSettings(
            as_of_ms=as_of_ms,
            in_transit_hours=self.in_transit_hours,
            settlement_sla_hours=self.settlement_sla_hours,
            payout_sla_days=self.payout_sla_days,
            fx_tolerance_basis_points=self.fx_tolerance_basis_points,
            judged_days=self.judged_days,
            dispute_days=self.dispute_days,
            fees=tuple(fee.rule() for fee in self.fees),
            rates=tuple(rate.fx_rate() for rate in self.rates),
            tolerances=tuple(one.tolerance() for one in self.tolerances),
            rules=tuple(one.rule() for one in self.rules),
            matches=matches,
        )


def load_policy(file: Path) -> RunPolicy:
    """Return the policy in a TOML file. Raises ``MisconfiguredError`` with the file, the setting and what is wrong."""
    return parse_policy(_bytes_of(file), str(file))


def load_mapping(file: Path) -> ColumnMapping:
    """Return the mapping in a TOML file. Raises ``MisconfiguredError`` with the file, the setting and what is wrong."""
    return _parsed(_bytes_of(file), str(file), ColumnMapping)


def parse_policy(data: bytes, source: str) -> RunPolicy:
    """Return the policy in these bytes; ``source`` is what an error calls them. Raises ``MisconfiguredError``."""
    return _parsed(data, source, RunPolicy)


def _bytes_of(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise MisconfiguredError(f"{file}: the file can't be read: {error}") from None


def _parsed[Document: BaseModel](data: bytes, source: str, form: type[Document]) -> Document:
    try:
        document = tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise MisconfiguredError(f"{source}: the file can't be read: {error}") from None
    # For a number of thousands of digits or bottomless lists, tomllib raises these rather than a TOMLDecodeError.
    except (ValueError, RecursionError) as error:
        raise MisconfiguredError(f"{source}: not TOML: {error}") from None
    try:
        return form.model_validate(document)
    except ValidationError as error:
        raise MisconfiguredError("\n".join(_lines(source, error))) from None


def _lines(source: str, error: ValidationError) -> list[str]:
    lines = []
    for one in error.errors(include_url=False, include_input=False):
        place = ".".join(str(part) for part in one["loc"])
        message = one["msg"].removeprefix("Value error, ")
        if one["type"] == "extra_forbidden":
            message = "there is no such setting; docs/reconciliation.md lists them"
        lines.append(f"{source}: {place + ': ' if place else ''}{message}")
    return lines
