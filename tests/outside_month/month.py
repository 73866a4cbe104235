"""The month as a whole: who buys, what is odd, what is wrong, who pays out, what the banks say, and what is written."""

import json
from calendar import monthrange
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from tests.outside_month import bank, contract, overheads, reports, settle, statements, strangers
from tests.outside_month.happenings import WEIGHTS, ids
from tests.outside_month.lives import LIVES
from tests.outside_month.model import Fault, Movement, World
from tests.outside_month.oddities import MORE
from tests.outside_month.planted import FX_LANES, PLANTS
from tests.outside_month.sales import LANES, Sale, book, charge, good, rates, sale

LATEST_DAY = {
    "settlement_reversed": 12,
    "dispute_open": 20,
    "dispute_lost": 8,
    "refund_failed": 12,
    "refund_exceeds_capture": 18,
    "late_settlement": 8,
    "orphan_refund": 20,
    "currency_mismatch": 14,
    "missing_in_gateway": 14,  # a weekly batch has closed since, and another begun
    "payload_conflict": 14,
}
PLAIN_LATEST = 20  # the latest day on which a fault happens, so that what is missing is missing for long enough


@dataclass
class Size:
    """How large the month is: payments, faults by class, and the month itself."""

    payments: int = 3000
    month: date = date(2026, 3, 1)
    faults: dict[str, int] = field(default_factory=dict)
    charge_ids: bool = False
    payout_rows: bool = False
    rates: bool = False
    batches: bool = False

    @property
    def last(self) -> date:
        """The last day of the month."""
        return self.month.replace(day=monthrange(self.month.year, self.month.month)[1])

    def count(self, fault_class: str) -> int:
        """Give how many faults of a class are planted: as asked, or in proportion and at least two."""
        least = min(6, max(2, self.payments // 500))
        return self.faults.get(fault_class, max(least, round(PLANTS[fault_class][1] * self.payments / 50_000)))


def lane(w: World, fault_class: str, rates: bool) -> tuple[str, str, str, str, int] | None:
    """Give the kind of payment on which a fault can be seen in the files.

    A rate that the row itself states is only wrong beside one that the user gives; without, only beside many others.
    """
    wanted = list(LANES)
    if fault_class == "currency_mismatch":
        wanted = [x for x in LANES if x[2] == x[3]]
    elif fault_class == "fx_mismatch":
        wanted = [x for x in LANES if x[2] != x[3] in FX_LANES and (rates or (x[3] == "CHF" and x[0] == "stripe"))]
    elif fault_class == "dispute_lost":
        wanted = [x for x in LANES if x[0] == "adyen"]
    elif fault_class in {"late_settlement", "payload_conflict", "duplicate_row"}:
        wanted = [x for x in LANES if x[:4] == ("stripe", "acct", "EUR", "EUR")]
    elif fault_class == "settlement_reversed":
        wanted = [x for x in LANES if x[3] == "EUR"]
    elif fault_class == "fee_mismatch":
        wanted = [x for x in LANES if x[1] != "ShopEU"]
    return w.rng.choices(wanted, weights=[x[4] for x in wanted])[0]


def span(size: Size, fault_class: str, number: int) -> tuple[date, date]:
    """Give the days on which the next fault of a class may happen."""
    earliest, latest = size.month, size.month.replace(day=LATEST_DAY.get(fault_class, PLAIN_LATEST))
    if fault_class == "payload_conflict":  # the two exports overlap on the payouts of the 15th to the 20th
        return latest, latest
    if fault_class == "missing_in_gateway":  # not before the first movement of a report
        return earliest + timedelta(1), latest
    if fault_class == "duplicate_row":  # not paid out yet, so that no payout depends on which row counts
        return size.last, size.last
    if fault_class == "double_charge" and number % 2:
        return earliest, size.last - timedelta(2)
    if fault_class == "fx_mismatch" and not size.rates:  # of two beside each other nobody knows which is right
        day = earliest + timedelta(1 + 3 * number % 18)
        return day, day
    return earliest, latest


def plant(w: World, size: Size) -> None:
    """Plant the faults between ledger and gateway."""
    for fault_class, (make, _) in PLANTS.items():
        for number in range(size.count(fault_class)):
            victim = sale(w, *span(size, fault_class, number), lane(w, fault_class, size.rates))
            if fault_class in {"payload_conflict", "late_settlement", "duplicate_row"}:
                victim.card |= {"method": "card", "brand": "visa", "country": "DE", "funding": "debit"}
            if fault_class == "fx_mismatch":  # a few per cent of which are more than a cent
                victim.amount = max(victim.amount, 3_000)
            victim.when = max(victim.when, datetime.combine(size.month, time(0, 5), UTC))  # not before the reports
            make(w, victim)


def traffic(w: World, size: Size) -> None:
    """Let customers buy: most payments go as they should, some are odd and right."""
    regulars = [w.token("tok_", 12) for _ in range(max(20, size.payments // 8))]
    kinds = [*WEIGHTS, *MORE, *LIVES]
    weights = [weight for _, _, weight in kinds]
    odd = sum(weights) / 1000
    for _ in range(size.payments):
        one: Sale = sale(w, size.month, size.last)
        if w.rng.random() < 0.5:
            one.payer = w.rng.choice(regulars)
        if w.rng.random() < odd:
            w.rng.choices(kinds, weights=weights)[0][1](w, one)
        else:
            good(w, one)


def export(w: World, size: Size) -> None:
    """Cut both sides where they end: the gateways at midnight UTC, the ledger three hours before and six after."""
    started = datetime.combine(size.month, time(0), UTC)
    midnight = datetime.combine(size.last + timedelta(1), time(0), UTC)
    for number in range(max(1, size.payments // 5000)):
        night = sale(w, size.last + timedelta(1), size.last + timedelta(1))
        night.when = midnight + timedelta(minutes=5 + number % 300)
        good(w, night)
    for edge in (started, midnight):
        across(w, edge, min(20, max(2, size.payments // 1000)))
    w.movements = [m for m in w.movements if started <= m.created < midnight]
    w.entries = [e for e in w.entries if started - timedelta(hours=3) <= e.booked_at < midnight + timedelta(hours=6)]
    for e in w.entries:
        if e.booked_at >= midnight or e.booked_at < started:
            w.usual("booked_beyond_the_reports", e.entry_id, e.payment_id, e.reference)
    w.entries.sort(key=lambda e: e.booked_at)


def across(w: World, edge: datetime, count: int) -> None:
    """Let payments cross midnight: booked seconds or minutes before it, and charged after it."""
    for number in range(count):
        one = sale(w, w.month, w.month)
        one.when = edge - timedelta(seconds=20 + 400 * number)
        moved = charge(w, one, one.amount, edge + timedelta(seconds=15 + number))
        w.usual("booked_before_midnight_and_charged_after", *ids(one, book(w, one, one.amount, one.when), moved))


def unsettled(w: World, batches: list[settle.Batch]) -> None:
    """Take from the reports what Adyen has not settled: a batch is reported when it is closed."""
    reported = {m.row_id for batch in batches for m in batch.members}
    kept: list[Movement] = []
    for m in w.movements:
        if m.gateway == "adyen" and m.row_id not in reported:
            w.usual("not_in_a_closed_batch_yet", m.payment, m.reference, m.capture_reference, m.refund_reference)
        else:
            kept.append(m)
    w.movements = kept


def faults_that_show(w: World) -> None:
    """Keep of the truth what the rows that were written can show."""
    shown = {m.row_id for m in w.movements}
    kept = []
    for planted in w.faults:
        fault: Fault | None = planted
        while fault and any(row not in shown for name in ("stripe", "adyen") for row in fault.rows.get(name, [])):
            fault = fault.before
        if not fault:
            w.usual("fault_not_shown_yet", *planted.ids)
        elif fault.fault_class:
            kept.append(fault)
    w.faults = kept


def build(folder: Path, seed: int, size: Size) -> World:
    """Make the month and write it."""
    folder.mkdir(parents=True, exist_ok=True)
    w = World(seed, size.month)
    plant(w, size)
    traffic(w, size)
    overheads.subscriptions(w, size.month, size.last, max(2, size.payments // 1500))
    overheads.overheads(w, size.month, size.last)
    overheads.topups(w, size.month, size.last)
    overheads.large_refund(w, size.month)
    export(w, size)
    settle.stripe_payouts(w, size.month, size.last)
    batches = settle.adyen_batches(w, size.month, size.last)
    unsettled(w, batches)
    faults_that_show(w)
    bank.payouts(w, (size.month, size.last), size.faults, size.batches)
    strangers.everything_else(w, size.month, size.last)
    if not size.charge_ids:
        intents = {m.payment: m.intent for m in w.movements if m.intent}
        for e in w.entries:
            e.gateway_payment_id = intents.get(e.gateway_payment_id, e.gateway_payment_id)
    reports.ledger(folder / "ledger.csv", w.entries)
    reports.stripe(folder, w, size.payout_rows)
    adyen = reports.adyen(folder, batches)
    papers = statements.write(folder, w, (size.month, size.last), structured=size.charge_ids)
    document(folder, w, seed, size, adyen, papers)
    return w


def command(folder: Path) -> list[str]:
    """Give the command that a user would type in the month's folder."""
    files = json.loads((folder / "files.json").read_text(encoding="utf-8"))
    words = ["payonce", "reconcile", *files["stripe"], *files["adyen"], *files["bank"], "--ledger", "ledger.csv"]
    words += ["--gateway", "adyen", *(part for name in files["stripe"] for part in ("--gateway", f"stripe={name}"))]
    return [*words, "--policy", "policy.toml", "--time-zone", "Europe/Berlin"]


def document(folder: Path, w: World, seed: int, size: Size, adyen: list[str], papers: list[str]) -> None:
    """Write the truth, what is ordinary, the contract, and the files in the order of a command."""
    truth = {
        "seed": seed,
        "payments": size.payments,
        "month": f"{size.month:%Y-%m}",
        "faults": [f.document(n) for n, f in enumerate(w.faults, 1)],
    }
    ordinary = {kind: {"count": len(groups), "ids": groups} for kind, groups in sorted(w.ordinary.items())}
    stripe = [
        f"stripe_{name}.csv"
        for name in ("payout_reconciliation_1", "payout_reconciliation_2", "ending_balance_reconciliation")
    ]
    files = {"stripe": stripe, "adyen": adyen, "bank": papers}
    for name, content in (
        ("truth", truth),
        ("ordinary", ordinary),
        ("contract", contract.document()),
        ("files", files),
    ):
        (folder / f"{name}.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "policy.toml").write_text(
        contract.policy(size.month) + (rates(size.month, size.last) if size.rates else ""), encoding="utf-8"
    )
