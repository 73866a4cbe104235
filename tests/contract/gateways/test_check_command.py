"""``python -m payonce.gateways.check``: what it prints, its exit codes, and that nobody else pays for it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from local.gateway_kits.template import ToypayVendor
from local.gateway_kits.template_server import ToypayBooks, running_toypay
from payonce.gateways.check.__main__ import main
from payonce.gateways.check.every_check import CHECKS
from payonce.gateways.check.verdicts import PAGE
from tests.contract.gateways.test_lying_adapters import LIES, LyingVendor, lying
from tests.support.aws import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from payonce.domain.gateway import Instruction

TEMPLATE = "local.gateway_kits.template"


@contextmanager
def liar() -> Iterator[LyingVendor]:
    """Claims keys that the vendor ignores."""
    with lying(LIES["keys that the vendor ignores"]) as vendor:
        yield vendor


class Careless(ToypayVendor):
    """A vendor whose author has made a mistake."""

    def count(self, instruction: Instruction) -> int:
        """See ``Vendor``."""
        raise ZeroDivisionError(instruction.gateway_reference)


@contextmanager
def careless() -> Iterator[Careless]:
    """Toypay with books that can't be read."""
    books = ToypayBooks()
    with running_toypay(books) as url:
        yield Careless(url, books)


def test_what_is_held_is_told_with_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([TEMPLATE, "--only", "payment"]) == 0
    told = capsys.readouterr().out
    assert "held        payment.executed" in told
    assert "not claimed payment_method_types.voucher" in told
    assert "payment_method_types lacks voucher" in told
    assert re.search(r"^all \(\d", told, re.MULTILINE)


def test_what_is_broken_is_told_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    """Fails when an author is left with a name alone."""
    assert main([f"{__name__}:liar", "--only", "key_retention_seconds.honoured"]) == 1
    told = capsys.readouterr().out
    assert "expected  A payment that is sent twice under one reference is executed once" in told
    assert "because   payonce's P1: one charge per key" in told
    assert "happened  the books have 2 executions of payment, not 1" in told
    assert f"read on   {PAGE}#keys" in told


def test_for_a_program_it_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"{__name__}:liar", "--only", "key_retention_seconds.honoured", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["gateway"] == "toypay"
    [row] = document["checks"]
    assert (row["verdict"], row["promise"]) == ("broken", "P1")


@pytest.mark.parametrize(
    "arguments",
    [
        ["no.such.module"],
        [f"{TEMPLATE}:no_such_name"],
        [TEMPLATE, "--only", "no such check"],
        [f"{__name__}:careless", "--only", "payment.executed"],
    ],
)
def test_what_can_not_be_run_is_told_apart(arguments: list[str]) -> None:
    """Fails when a mistake in the author's module, or a filter that fits nothing, passes for a held contract."""
    assert main(arguments) == 2


def test_every_check_leads_to_a_chapter_of_the_page() -> None:
    text = (REPOSITORY / PAGE).read_text()
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert {check.chapter for check in CHECKS} <= anchors


def test_each_check_has_a_name_of_its_own() -> None:
    assert len({check.name for check in CHECKS}) == len(CHECKS)


def test_nobody_pays_for_it() -> None:
    """Fails when a function's cold start imports the suite. That nobody names it is import-linter's to see."""
    code = (
        "import sys, payonce.wiring.gateways, payonce.wiring.notices, payonce.gateways.sandbox_bank\n"
        "import payonce.gateways.stripe_gateway, payonce.gateways.stripe_notices, payonce.entrypoints.http\n"
        "print([name for name in sys.modules if name.startswith('payonce.gateways.check')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert done.stdout.strip() == "[]"


def test_it_needs_no_test_framework_and_no_sdk() -> None:
    """Fails when the suite itself imports what an author may not have."""
    code = (
        "import sys, payonce.gateways.check.__main__\n"
        "print([name for name in ('pytest', 'stripe', 'Adyen', 'boto3', 'pydantic') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert done.stdout.strip() == "[]"
