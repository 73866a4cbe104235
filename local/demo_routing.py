"""The demo's routing: a bank gets slower and loses its traffic before the first payment times out."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from local.degradation import BANK, GATEWAY, SLOWER_MS_PER_SECOND, TIMEOUT_MS, Degradation
from local.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from local.degradation import Moment
    from local.shop import Shop
    from local.stack import Stack
    from local.traffic import Paid

PAYMENTS_PER_SECOND = 8.0
SHOWN_EVERY_SECONDS = 5.0
BAR = 24


def show_routing(stack: Stack, shop: Shop, console: Console) -> None:
    """Degrade one bank, show its traffic leaving, heal it, and show its traffic coming back."""
    console.rule("a bank that gets slower loses its traffic before the first timeout")
    with Traffic(shop.once, PAYMENTS_PER_SECOND) as traffic:
        degradation = Degradation(stack, traffic)
        degradation.start_predictor()
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console) as progress:
            task = progress.add_task(f"routing learns what is usual at {PAYMENTS_PER_SECOND:.0f} payments/s", total=1.0)
            for done in degradation.learn():
                progress.update(task, completed=done)
        console.print(
            f"  bank {BANK} gets {SLOWER_MS_PER_SECOND} ms slower with every second; a payment times out at "
            f"{TIMEOUT_MS / 1000:.0f} s\n  the bars: its share of the payments; the weight: what routing wants",
            soft_wrap=True,
        )
        console.print(outcome(_show(degradation.worsen(), console)), soft_wrap=True)
        console.print(stack.operator("routing", "show").stdout.rstrip(), markup=False, highlight=False)
        console.print(f"  bank {BANK} is well again")
        _show(degradation.heal(), console)
        time.sleep(1)
    _account(stack, traffic.paid, console)


def outcome(last: Moment) -> str:
    """Return the text on the last moment before the first timeout, for success and for failure."""
    reason = f"  [cyan]{last.document.reason if last.document else '-'}[/]"
    if not last.has_left:
        return f"  [red]its traffic has not left before the first timeout[/]. What routing says:\n{reason}"
    left = (TIMEOUT_MS - last.latency_ms) / SLOWER_MS_PER_SECOND
    return f"  its traffic has left, {left:.0f} s before the first payment would have timed out. The reason:\n{reason}"


def _show(moments: Iterator[Moment], console: Console) -> Moment:
    shown = -SHOWN_EVERY_SECONDS
    for moment in moments:
        if moment.seconds - shown >= SHOWN_EVERY_SECONDS:
            _line(moment, console)
            shown = moment.seconds
    _line(moment, console)
    return moment


def _line(moment: Moment, console: Console) -> None:
    weight = "neutral" if moment.weight is None else f"{moment.weight:.0%}"
    bar = "█" * round(moment.share * BAR)
    console.print(
        f"  {moment.seconds:4.0f} s  bank at {moment.latency_ms / 1000:4.1f} s  "
        f"{bar:<{BAR}} {moment.share:4.0%}  weight {weight}",
        highlight=False,
    )


def _account(stack: Stack, paid: list[Paid], console: Console) -> None:
    charges = Counter(row["reference"].rsplit("-", 1)[0] for row in stack.bank.charges())
    table = Table("payments", f"by {GATEWAY}", "in doubt", "longest wait", "charged twice")
    doubts, twice = sum(each.status == 202 for each in paid), sum(charges[each.payment_id] > 1 for each in paid)
    by_bank = sum(each.gateway == GATEWAY for each in paid)
    longest = max(each.seconds for each in paid)
    table.add_row(str(len(paid)), str(by_bank), _coloured(doubts), f"{longest:.1f} s", _coloured(twice))
    console.print(table)


def _coloured(count: int) -> str:
    return f"[{'red' if count else 'green'}]{count}[/]"
