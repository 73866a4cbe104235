"""Parses the operator's policy for runs, a TOML file, into ``RunSettings``. See docs/reconciliation.md."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from payonce.domain.currencies import MINOR_UNIT_EXPONENTS
from payonce.domain.errors import MisconfiguredError
from payonce.reconciliation.model import FeeRule, RunSettings
from payonce.reconciliation.readers.mapping import ColumnMapping

if TYPE_CHECKING:
    from pathlib import Path

MAX_HOURS = 24 * 366  # a year: nothing is in transit longer, so a larger number has the wrong unit
MAX_DAYS = 366
MAX_MAPPINGS = 50  # each is tried on a table of no format of its own
MAX_BASIS_POINTS = 10_000  # all of the amount
MAX_FIXED_MINOR = 10**9  # ten million in most currencies: more is a slip in the unit
DEFAULTS = RunSettings(as_of_ms=0)

Hours = Annotated[int, Field(ge=0, le=MAX_HOURS)]
BasisPoints = Annotated[int, Field(ge=0, le=MAX_BASIS_POINTS)]
Minor = Annotated[int, Field(ge=0, le=MAX_FIXED_MINOR)]


class _Table(BaseModel):
    # Strict: 24.5 hours and "24" are mistakes, and an unknown setting would silently have no effect.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class FeePolicy(_Table):
    """An entry of ``[[fees]]``: the fee that one gateway may take of a charge in one currency."""

    gateway: Annotated[str, Field(min_length=1, max_length=100)]
    currency: str
    fixed_minor: Minor = 0
    basis_points: BasisPoints = 0
    tolerance_minor: Minor = 1

    @field_validator("currency")
    @classmethod
    def _in_use(cls, code: str) -> str:
        if code not in MINOR_UNIT_EXPONENTS:
            raise ValueError("is not an ISO 4217 currency in use, in capitals")
        return code


class RunPolicy(_Table):
    """The whole file. Settings that it omits have the defaults of ``RunSettings``."""

    in_transit_hours: Hours = DEFAULTS.in_transit_hours
    settlement_sla_hours: Hours = DEFAULTS.settlement_sla_hours
    payout_sla_days: Annotated[int, Field(ge=0, le=MAX_DAYS)] = DEFAULTS.payout_sla_days
    fx_tolerance_basis_points: BasisPoints = DEFAULTS.fx_tolerance_basis_points
    judged_days: Annotated[int, Field(ge=1, le=MAX_DAYS)] = DEFAULTS.judged_days
    fees: list[FeePolicy] = Field(default_factory=list)
    # Refuses a bank's file that does not prove itself, instead of reading it with the mark.
    strict: bool = False
    mappings: Annotated[list[ColumnMapping], Field(max_length=MAX_MAPPINGS)] = Field(default_factory=list)

    @field_validator("fees")
    @classmethod
    def _one_rule_each(cls, fees: list[FeePolicy]) -> list[FeePolicy]:
        named = [(fee.gateway, fee.currency) for fee in fees]
        if twice := sorted(
            {f"{gateway} in {currency}" for gateway, currency in named if named.count((gateway, currency)) > 1}
        ):
            raise ValueError(f"there is more than one rule for {', '.join(twice)}")
        return fees

    def settings(self, as_of_ms: int) -> RunSettings:
        """Return the settings for the matching rules."""
        return RunSettings(
            as_of_ms=as_of_ms,
            in_transit_hours=self.in_transit_hours,
            settlement_sla_hours=self.settlement_sla_hours,
            payout_sla_days=self.payout_sla_days,
            fx_tolerance_basis_points=self.fx_tolerance_basis_points,
            judged_days=self.judged_days,
            fees=tuple(FeeRule(**fee.model_dump()) for fee in self.fees),
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
