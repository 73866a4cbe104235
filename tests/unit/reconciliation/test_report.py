"""The report: harmless whatever the files say, the same bytes for the same run, and a proof that can fail."""

from __future__ import annotations

import hashlib
import html
import io
import json
import re
from base64 import b64encode
from dataclasses import replace
from fractions import Fraction
from functools import cache
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from payonce.cli import main as cli
from payonce.domain.errors import BodyMalformed
from payonce.reconciliation.anomalies.calibration import Basis, Calibration
from payonce.reconciliation.anomalies.findings import Anomalies, Finding, FindingKind
from payonce.reconciliation.matching.roll_forward import Movement, RollForward
from payonce.reconciliation.matching.run_result import OpenTotal, RunResult
from payonce.reconciliation.matching.summary import by_class, conservation, is_overdue, verdict
from payonce.reconciliation.model import (
    BalanceMovement,
    Break,
    Evidence,
    FeeRule,
    OpenItem,
    Outcome,
    RunSettings,
    Source,
    Tally,
)
from payonce.reconciliation.readers.values import plain
from payonce.reconciliation.report.chain import add_to_chain
from payonce.reconciliation.report.contents import Contents, as_json
from payonce.reconciliation.report.html import as_html
from payonce.reconciliation.report.terminal import show
from payonce.reconciliation.runs.intake import FileFacts, Intake, Refused
from payonce.reconciliation.runs.manifest import Manifest
from payonce.reconciliation.taxonomy import CLASSES, TO_DO, BreakClass

if TYPE_CHECKING:
    from pathlib import Path

HOUR_MS = 3_600_000
NOON_MS = 1_772_366_400_000  # 2026-03-01 12:00 UTC
SCRIPT, FORMULA, BOLD = "<script>alert(1)</script>", '=HYPERLINK("http://x")', "ad$yen$</svg><b id=x>"


def found(name: BreakClass, number: int, *, amount_minor: int = 1_000, currency: str = "EUR") -> Break:
    fields = {
        "description": SCRIPT,
        "reference": FORMULA,
        "amount_minor": -1_000,
        "created_at_ms": NOON_MS,
        "payer": None,
    }
    return Break(
        break_class=name,
        subject=("bank", f"{SCRIPT}{number}"),
        amount_minor=amount_minor,
        currency=currency,
        occurred_at_ms=NOON_MS - number * HOUR_MS,
        gateway="bank",
        surplus_gateway_payment_id=SCRIPT,
        evidence=(Evidence(source=Source.GATEWAY, row_key=f"bank|{number}", fields=fields),),
        why="\u202egnorw",
    )


def contents(*breaks: Break) -> Contents:
    intake = Intake(files=[FileFacts(f"{SCRIPT}.csv", "a" * 64, "ledger_csv", SCRIPT, 3)])
    intake.read = {(Source.LEDGER, "EUR"): (3, 300), (Source.GATEWAY, "EUR"): (3, 300)}
    for value in (150, 150, 175, 900):
        intake.fees[BOLD][value] += 1
        intake.delays[BOLD][value] += 1
    tallies = tuple(
        Tally(source=source, currency="EUR", outcome=outcome, rows=1, amount_minor=100)
        for source in (Source.LEDGER, Source.GATEWAY)
        for outcome in Outcome
    )
    fee = FeeRule(gateway=SCRIPT, currency="EUR", fixed_minor=25, basis_points=150)
    settings = RunSettings(as_of_ms=NOON_MS, fees=(fee,))
    return Contents(settings, intake, RunResult(breaks=breaks, tallies=tallies, digest="d" * 64))


EVERY_CLASS = contents(*(found(name, number) for number, name in enumerate(BreakClass)))


def calibrated(merchant_id: str, window_seconds: int, basis: Basis, rate: int) -> Calibration:
    return Calibration(
        merchant_id=merchant_id,
        window_seconds=window_seconds,
        basis=basis,
        history_charges=30_000 - rate,
        pairs=rate * 3,
        false_positives_per_10_000=Fraction(rate),
        upper_bound_per_10_000=Fraction(rate * 3 + 1, 3),
    )


ANOMALIES = Anomalies(
    calibrations=(
        calibrated(BOLD, 120, Basis.HISTORY, 3),
        calibrated(SCRIPT, 0, Basis.TOO_NOISY, 5),
        *(calibrated(f"mer_{number:02d}", 28_800, Basis.HISTORY, 10 + number) for number in range(12)),
    ),
    findings=(
        Finding(
            kind=FindingKind.PAYER_BURST,
            subject=("mer_1", SCRIPT),
            score=3,
            explanation="12 charges in 99 s",
            at_ms=NOON_MS,
            rows=12,
            evidence=(FORMULA,) * 8,
        ),
    ),
    counts={FindingKind.PAYER_BURST: 1_234},
)
UNUSUAL = replace(EVERY_CLASS, result=replace(EVERY_CLASS.result, anomalies=ANOMALIES))


@cache
def page_of_every_class() -> str:
    """Return the page of ``EVERY_CLASS``: its plots take a second."""
    return as_html(EVERY_CLASS)


class Elements(HTMLParser):
    """Collects element names, ids and attributes, and what scripts and styles hold."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.scripts: dict[str, str] = {}
        self.styles: list[str] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += attrs
        named = dict(attrs)
        self._inside = tag
        if tag == "script":
            self._inside = f"script {named.get('id') or ''}"
            assert (named.get("type") == "application/json") == bool(named.get("id")), attrs

    def handle_data(self, data: str) -> None:
        if self._inside.startswith("script"):
            self.scripts[self._inside.removeprefix("script ")] = data
        elif self._inside == "style":
            self.styles.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def data(self, name: str) -> Any:
        return json.loads(self.scripts[name])


def test_nothing_of_a_file_becomes_markup_or_a_formula() -> None:
    """Fails when autoescape is off, when a plot's text is not escaped, and without ``neutralised``."""
    text = page_of_every_class()
    page = Elements(text)
    assert not {"b", "iframe", "img", "link"} & set(page.names)
    assert set(page.scripts) == {"", "data-breaks", "data-open", "data-rows-0"}
    assert ("id", "x") not in page.attributes
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert SCRIPT not in text
    assert ">=HYPERLINK" not in text
    assert "\"'=HYPERLINK(" in text
    assert "\u202e" not in text
    assert '"-10.00 EUR"' in text  # a number of ours is no formula
    assert not [name for name, _ in page.attributes if name.startswith("on")]


# What ends a script, begins a comment in one, ends a line of one, or is no character of a page.
HOSTILE = "</script x </script><script>alert(1)</script><!--<script>]]>&lt;\u2028\u2029\x00\"'`{{7*7}}"


def with_texts(text: str) -> Contents:
    """Return a run in which every text that a file or a name can bring is this one, with a number behind it."""
    one = Break(
        break_class=BreakClass.AMOUNT_MISMATCH,
        subject=(f"{text}1", f"{text}2"),
        amount_minor=5,
        currency="EUR",
        occurred_at_ms=NOON_MS,
        merchant_id=f"{text}3",
        payment_id=f"{text}4",
        gateway=f"{text}5",
        surplus_gateway_payment_id=f"{text}6",
        evidence=(Evidence(source=Source.BANK, row_key=f"{text}7", fields={"reference": f"{text}8", f"{text}9": "x"}),),
        why=f"{text}10",
    )
    run = contents(one)
    names = {"gateway": f"{text}11", "currency": "EUR"}
    run.intake.files[0] = replace(run.intake.files[0], name=f"{text}12", gateway=f"{text}13", unproved=(f"{text}14",))
    run.intake.refused.append(Refused(f"{text}15", f"{text}16"))
    run.intake.notices.append(f"{text}17")
    run.intake.fees.clear()
    run.intake.delays.clear()
    item = OpenItem(
        source=Source.BANK,
        row_key=f"{text}18",
        reason=f"{text}19",
        amount_minor=1,
        at_ms=NOON_MS,
        label=f"{text}20",
        **names,
    )
    moved = BalanceMovement(kind="fee", category=f"{text}21", rows=1, amount_minor=1, fee_minor=0, **names)
    total = OpenTotal(Source.BANK, "no_payout", "EUR", 1, 1)
    account = RollForward(Source.BANK, f"{text}22", "EUR", (Movement("payouts", 1, 1),), 1, 2, 20_000, 20_001)
    result = replace(
        run.result,
        open_items=(item,),
        open_totals=(total,),
        balance=(moved,),
        accounts=(account,),
        notices=(f"{text}23",),
    )
    fees = (replace(run.settings.fees[0], gateway=f"{text}24"),)
    return Contents(replace(run.settings, fees=fees), run.intake, result)


def test_no_text_changes_what_the_page_is_made_of() -> None:
    """The page with hostile texts has the same elements and attributes as with plain ones, and its data is read back.

    Fails when ``embedded`` leaves a ``<``, a separator or a NUL as it is, or a name reaches the page past the template.
    """
    plain_page, page = Elements(as_html(with_texts("text"))), Elements(as_html(with_texts(HOSTILE)))
    assert page.names == plain_page.names
    assert [name for name, _ in page.attributes] == [name for name, _ in plain_page.attributes]
    assert set(page.scripts) == set(plain_page.scripts)
    shown = plain(HOSTILE)
    assert not {"\u2028", "\u2029", "\x00"} & set(shown)
    [row] = page.data("data-rows-0")
    assert row[1:5] == [f"{shown}{number}" for number in (3, 4, 6, 10)]
    assert page.data("data-open")["label"] == [f"{shown}20"]
    assert page.data("data-breaks")["subject"] == [f"{shown}1 · {shown}2"]
    assert not any("<" in text for name, text in page.scripts.items() if name)
    text = as_html(with_texts(HOSTILE))
    assert not {"\u2028", "\u2029", "\x00"} & set(text)
    text.encode()


def test_the_page_runs_its_own_script_and_style_alone() -> None:
    """Fails when the policy does not name the script by its hash, or a second script or style could run.

    https://www.w3.org/TR/CSP3/#match-element-to-source-list
    """
    page = Elements(page_of_every_class())
    policy = next(
        value for name, value in page.attributes if name == "content" and value and value.startswith("default")
    )
    for directive, texts in (("script-src", [page.scripts[""]]), ("style-src-elem", page.styles)):
        [text] = texts
        named = re.search(rf"{directive} ('[^;]+')[;]", policy)
        assert named is not None
        assert named[1] == f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
    assert "default-src 'none'" in policy
    assert "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'" in policy
    for sink in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "Function(", "srcdoc"):
        assert sink not in page.scripts[""]


def test_the_table_holds_every_break_with_its_money() -> None:
    """Fails when a break is not in the table, its amounts are other ones, or an amount loses digits in a browser."""
    large = replace(found(BreakClass.DOUBLE_CHARGE, 1, amount_minor=2**53 + 1), subject=("m", "p"))
    run = contents(*(found(BreakClass.DOUBLE_CHARGE, number, amount_minor=number) for number in range(2, 1203)), large)
    page = Elements(as_html(run))
    table = page.data("data-breaks")
    assert table["stake"] == [str(2**53 + 1), *range(1202, 1, -1)]
    assert table["expected"] == [0] * 1202
    assert table["difference"] == table["actual"] == table["stake"]
    ids = [row[0] for block in ("0", "1", "2") for row in page.data(f"data-rows-{block}")]
    assert ids == [one.break_id for one in run.breaks]
    assert table["classes"][table["class"][0]][0] == "double charge"


def test_windows_and_findings_are_told_harmlessly() -> None:
    """Fails when a merchant's name or a row key becomes markup or a formula, or a rate is left out."""
    page = as_html(UNUSUAL)
    assert SCRIPT not in page
    assert ">=HYPERLINK" not in page
    assert page == as_html(UNUSUAL)
    text = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    assert "2 min history 29,997 3.00 3.34" in text
    assert "none equal charges are usual here 29,995 5.00 5.34" in text
    assert "2 further merchants are in the JSON." in text
    assert "Unusual, and no breaks: 1,234 payer burst." in text
    assert "and 4 more" in text
    assert 'id="windows-title"' in page
    assert "false alarms per 10,000 charges" in text
    document = as_json(UNUSUAL)["anomalies"]
    assert len(document["calibrations"]) == 14
    assert document["findings"][0]["evidence"] == [FORMULA] * 8
    assert as_json(EVERY_CLASS)["anomalies"] is None
    assert "Beyond keys" not in page_of_every_class()


ESCAPE, TURNED = "\x1b]0;title\x07", "\u202e"


def test_no_name_writes_to_the_terminal_or_turns_a_plot_around() -> None:
    """Fails when a name's control or direction characters reach the terminal or the text of a picture."""
    merchant = calibrated(f"{ESCAPE}{TURNED}mer", 120, Basis.HISTORY, 3)
    run = contents(found(BreakClass.DISPUTE_OPEN, 1))
    run = replace(run, result=replace(run.result, anomalies=Anomalies(calibrations=(merchant,))))
    run.intake.fees[f"{ESCAPE}{TURNED}gw"][150] += 1
    out = io.StringIO()
    show(run, Console(file=out, width=120, force_terminal=True))
    for text in (out.getvalue(), as_html(run)):
        assert "mer" in text
        assert TURNED not in text
        assert "\x1b]" not in text


def test_the_terminal_shows_each_window_and_how_often_it_errs() -> None:
    out = io.StringIO()
    show(UNUSUAL, Console(file=out, width=120))
    lines = [" ".join(line.split()) for line in out.getvalue().splitlines()]
    assert "mer_00 8 h history 29,990 10.00 10.34" in lines
    assert "Unusual, and no breaks: 1,234 payer burst." in lines
    # What is not in the table is said.
    assert "2 further merchants are in the JSON." in lines


def test_the_page_loads_nothing() -> None:
    """Fails when a font, script, style or picture is named, and without the policy that forbids it."""
    page = Elements(page_of_every_class())
    links = [value for name, value in page.attributes if name in ("src", "href", "xlink:href", "action")]
    assert links
    assert all(link and link.startswith("#") for link in links)
    assert "default-src 'none'" in dict(page.attributes).get("content", "") or any(
        value and value.startswith("default-src 'none'") for _, value in page.attributes
    )


def test_every_plot_has_a_title_and_says_what_it_shows() -> None:
    """Fails when two elements share an id, or a plot names a title that is not there."""
    page = Elements(page_of_every_class())
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    labels = [value for name, value in page.attributes if name == "aria-labelledby"]
    assert len(labels) == page.names.count("svg") == page.names.count("figure") == 6
    assert all(part in ids for label in labels for part in (label or "").split())


def test_the_same_run_gives_the_same_bytes() -> None:
    """Fails without the hash salt, with a date in the pictures, and when breaks keep the engine's order."""
    turned = replace(EVERY_CLASS, result=replace(EVERY_CLASS.result, breaks=EVERY_CLASS.result.breaks[::-1]))
    assert page_of_every_class() == as_html(EVERY_CLASS) == as_html(turned)
    assert as_json(EVERY_CLASS) == as_json(turned)
    assert "<dc:date>" not in page_of_every_class()


def test_every_break_is_there_with_its_id_meaning_and_age() -> None:
    text, document = page_of_every_class(), json.loads(json.dumps(as_json(EVERY_CLASS)))
    for one in EVERY_CLASS.result.breaks:
        assert f'id="{one.break_id}"' in text
        assert TO_DO[one.break_class] in html.unescape(text)
    assert all(one["to_do"] for one in document["breaks"])
    assert {one["break_class"] for one in document["breaks"]} == set(BreakClass)
    assert document["breaks"][0]["severity"] == "critical"
    assert all(one["meaning"] == CLASSES[BreakClass(one["break_class"])].meaning for one in document["breaks"])
    assert document["breaks"][0]["evidence"][0]["fields"]["reference"] == FORMULA


def test_without_scripts_the_page_shows_the_most_urgent_and_says_so() -> None:
    """Fails when a browser without scripts shows nothing, or does not say that there are more."""
    run = contents(
        *(found(BreakClass.DISPUTE_OPEN, number) for number in range(60)), found(BreakClass.DOUBLE_CHARGE, 1)
    )
    text = as_html(run)
    without = text[text.index("<noscript>") : text.index("</noscript>")]
    assert without.count("<article") == 50
    assert "the 50 most urgent of 61 are here" in without
    assert "double charge" in without.partition("</article>")[0]


def test_a_run_without_breaks_says_so() -> None:
    text = as_html(contents())
    assert "No breaks" in text
    assert "<article" not in text


@pytest.mark.parametrize(
    ("currency", "amount_minor", "shown"), [("JPY", 1_234_567, "1,234,567 JPY"), ("BHD", 5, "0.005 BHD")]
)
def test_amounts_have_the_decimals_of_their_currency(currency: str, amount_minor: int, shown: str) -> None:
    assert shown in as_html(contents(found(BreakClass.DISPUTE_OPEN, 1, amount_minor=amount_minor, currency=currency)))


def test_breaks_are_overdue_after_the_time_of_their_severity() -> None:
    critical = found(BreakClass.MISSING_IN_LEDGER, 4)
    assert not is_overdue(critical, NOON_MS)
    assert is_overdue(critical, NOON_MS + HOUR_MS)
    [one] = by_class([critical, replace(critical, subject=("other",))], NOON_MS + HOUR_MS)
    assert (one.count, one.amount_minor, one.overdue) == (2, 2_000, 2)


@pytest.mark.parametrize(
    ("source", "read", "holds"),
    [
        (Source.LEDGER, (3, 300), True),
        (Source.LEDGER, (3, 301), False),  # a cent
        (Source.LEDGER, (4, 300), False),  # a row
        (Source.GATEWAY, (2, 200), False),  # more came out than went in
        (Source.GATEWAY, (4, 400), True),  # one came twice, in an overlapping file
        (Source.GATEWAY, (0, 0), False),
    ],
)
def test_what_was_read_and_what_ended_must_agree(source: Source, read: tuple[int, int], holds: bool) -> None:
    """Fails when the proof holds whatever the readers counted."""
    tallies = [one for one in EVERY_CLASS.result.tallies if one.source is source]
    proof = conservation(tallies, {(source, "EUR"): read})
    assert [one.holds for one in proof] == [holds]
    assert ("Conservation failed" in verdict(EVERY_CLASS.result, proof)) is not holds


def test_rows_that_nothing_accounts_for_do_not_hold() -> None:
    assert [one.holds for one in conservation([], {(Source.GATEWAY, "EUR"): (2, 200)})] == [False]


def test_a_chain_grows_and_shows_what_was_done_to_it(tmp_path: Path) -> None:
    """Fails when a line is added to a chain that was changed, cut or moved."""
    chain = tmp_path / "chain.jsonl"
    hashes = [add_to_chain(chain, EVERY_CLASS) for _ in range(3)]
    assert len(set(hashes)) == 3
    lines = chain.read_bytes().splitlines(keepends=True)
    assert json.loads(lines[2])["previous"] == hashes[1]
    for spoiled, wrong in (
        ([lines[0], lines[2]], 2),
        ([lines[1]], 1),
        ([lines[0], lines[1][:-1]], 2),
        ([lines[0].replace(b'"breaks":27', b'"breaks":26'), lines[1]], 2),
        ([lines[0], b"{}\n"], 2),
        ([b"nonsense\n"], 1),
    ):
        assert spoiled != lines[: len(spoiled)]
        chain.write_bytes(b"".join(spoiled))
        with pytest.raises(BodyMalformed, match=re.escape(f"line {wrong}")):
            add_to_chain(chain, EVERY_CLASS)
        assert chain.read_bytes() == b"".join(spoiled)


def test_one_verifier_reads_lines_and_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Fails when a chain of the stack is of another kind, or a change, a gap or a cut end in it goes unseen."""
    chain, folder = tmp_path / "chain.jsonl", tmp_path / "runs"
    hashes = [add_to_chain(chain, EVERY_CLASS) for _ in range(3)]
    folder.mkdir()
    for each, line in zip(hashes, chain.read_bytes().splitlines(), strict=True):
        (folder / f"{each}.json").write_bytes(line)

    def verified(path: Path, *options: str) -> tuple[int, str]:
        code = cli.main(["verify-manifests", str(path), *options])
        said = capsys.readouterr()
        return code, said.out + said.err

    for path in (chain, folder):
        assert verified(path) == (0, f"3 manifests in one chain\nlast {hashes[2]}\n")
        assert verified(path, "--last", hashes[2])[0] == 0
    assert verified(chain, "--last", hashes[1])[0] == 1
    # One that a run wrote and another overtook is no link.
    overtaken = Manifest({**json.loads((folder / f"{hashes[2]}.json").read_bytes()), "run_id": "overtaken"})
    (folder / f"{overtaken.hash}.json").write_bytes(overtaken.to_bytes())
    assert "2 manifests could be the last one" in verified(folder)[1]
    assert verified(folder, "--last", hashes[2])[1].startswith("3 manifests in one chain, 1 apart")
    (folder / f"{hashes[1]}.json").rename(tmp_path / "gone")
    assert f"{hashes[1]}.json is missing" in verified(folder, "--last", hashes[2])[1]
    (folder / f"{hashes[1]}.json").write_bytes((tmp_path / "gone").read_bytes().replace(b'"breaks":27', b'"breaks":26'))
    code, said = verified(folder, "--last", hashes[2])
    assert (code, "it was changed" in said) == (2, True)
    chain.write_bytes(b"".join(chain.read_bytes().splitlines(keepends=True)[1:]))
    assert verified(chain)[0] == 1
    assert verified(tmp_path / "none")[0] == 2
