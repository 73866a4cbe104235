"""What templates write of money, times and ids: the same form on every page."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from payonce.domain.currencies import MINOR_UNIT_EXPONENTS
from payonce.extras import needs

with needs("console"):
    from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

THIN_SPACE = "\u202f"  # narrow and not broken: SI and ISO 31-0 group digits by threes with one
NOTHING = "–"
_COPYABLE = Markup(
    '<span class="id"><code>{0}</code><button type="button" class="copy" data-copy="{0}" hidden>'
    'Copy<span class="unseen"> {0}</span></button></span>'
)


def money(amount_minor: int | None, currency: str) -> str:
    """Return an amount of minor units in its currency's form, such as ``1 234.50 EUR`` or ``-1 234 JPY``.

    A currency that ISO 4217 does not list is written in minor units, and says so.
    """
    if amount_minor is None:
        return NOTHING
    sign, size = ("-" if amount_minor < 0 else ""), abs(amount_minor)
    exponent = MINOR_UNIT_EXPONENTS.get(currency)
    if exponent is None:
        return f"{sign}{_grouped(str(size))} minor units of {currency}"
    digits = str(size).rjust(exponent + 1, "0")
    whole, part = (digits[:-exponent], f".{digits[-exponent:]}") if exponent else (digits, "")
    return f"{sign}{_grouped(whole)}{part} {currency}"


def _grouped(digits: str) -> str:
    return f"{int(digits):,}".replace(",", THIN_SPACE)


def at(moment: int | str | None) -> Markup:
    """Return a time, epoch milliseconds or ISO 8601, as a ``<time>`` in UTC. A script writes it in local time.

    What is no time is written as it is.
    """
    if moment is None or moment == "":
        return Markup("{}").format(NOTHING)
    try:
        when = datetime.fromtimestamp(moment / 1000, UTC) if isinstance(moment, int) else datetime.fromisoformat(moment)
    except (ValueError, OverflowError, OSError):
        return Markup("{}").format(moment)
    utc = (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC)
    text = f"{utc:%Y-%m-%d %H:%M:%S} UTC"
    exact = utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(exact, text, text)


def day(day_ms: int) -> str:
    """Return the UTC day that begins at ``day_ms``: as a time it would be of the day before in zones west of UTC."""
    return f"{datetime.fromtimestamp(day_ms / 1000, UTC):%Y-%m-%d} (UTC)"


def copyable(text: str | None) -> Markup:
    """Return an id that a click copies, once the script runs. Until then, and without it, it is text to select."""
    if not text:
        return Markup("{}").format(NOTHING)
    return _COPYABLE.format(text)


FILTERS: Mapping[str, Callable[..., str]] = {"money": money, "at": at, "day": day, "copyable": copyable}
