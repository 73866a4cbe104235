"""docs/tutorial.md from its first command to its last, by a reader with an empty environment.

The package is installed from a wheel of the checkout. The cloud is a stack on loopback with the real sandbox bank;
``tests/e2e/test_tutorial.py`` follows the same sections on the deployed one, with the webhook.
"""

from __future__ import annotations

import re
import runpy
import time
from typing import TYPE_CHECKING

import pytest

from local.sandbox_bank.running import running_bank
from payonce.gateways.deadline_exchange import DeadlineExchange
from payonce.gateways.sandbox_bank import SandboxBankGateway
from payonce.webhooks.signing import HmacKey, webhook_headers
from tests.support.loopback_stack import loopback_stack
from tests.support.pages import Reader, clean_environment, is_printed, sections
from tests.support.world import FORGETFUL
from tools.distribution.environments import build_wheel, empty_environment, install
from tools.distribution.wheelhouse import extras

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.sandbox_bank.running import BankHandle

PAGE = "tutorial.md"
SECTIONS = sections(PAGE)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with what section 1 installs."""
    folder = tmp_path_factory.mktemp("installed")
    [(wanted,)] = [
        re.findall(r"'\.\[([\w,]+)\]'", block.text) for block in SECTIONS["1. Install, and start the cloud"][:1]
    ]
    assert set(wanted.split(",")) <= extras().keys()
    made = empty_environment(folder / "environment")
    install(made, build_wheel(folder), wanted)
    return made


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BankHandle]:
    with running_bank(tmp_path_factory.mktemp("bank")) as handle:
        yield handle


def test_it_is_followed_to_the_end(python: Path, bank: BankHandle, tmp_path: Path) -> None:
    """Fails when a command of the page or a program of the page fails, or prints what the page does not say."""
    with loopback_stack() as stack:
        stack.gateway = SandboxBankGateway(  # type: ignore[assignment]
            name="bank",
            base_url=bank.base_url("tutorial"),
            token="sandbox",
            capabilities=FORGETFUL,
            exchange=DeadlineExchange(stack.clock, max_answer_bytes=1_000_000),
        )
        stack.deploy()
        reader = Reader(tmp_path, {**clean_environment(tmp_path, python.parent), "PAYONCE_CLOUD_PORT": str(stack.port)})
        for heading, blocks in SECTIONS.items():
            if not heading.startswith("1."):  # the fixture installs, from the wheelhouse
                reader.follow(blocks)
    assert len((tmp_path / "carrier.txt").read_text().split()) == 1
    assert [charge["amount_minor"] for charge in bank.charges(bank="tutorial")] == [1050, 4200, 1150]


def test_the_receiver_takes_an_event_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when the page's consumer refuses a genuine webhook, takes a forged one, or handles one twice."""
    [hooks] = [block for block in SECTIONS["6. A webhook"] if block.title == "hooks.py"]
    monkeypatch.chdir(tmp_path)
    (tmp_path / hooks.title).write_text(hooks.text)
    handled: list[str] = []
    names = runpy.run_path(hooks.title, {"print": lambda *words: handled.append(words[-1])})
    secret, body = HmacKey(bytes(range(32))), b'{"type":"payment.captured"}'
    headers = webhook_headers("evt_1", int(time.time()), body, [secret])
    assert names["receive"](secret.text(), headers, body) == 204
    assert names["receive"](secret.text(), headers, body) == 200
    assert names["receive"](secret.text(), headers, body + b" ") == 401
    assert handled == ["payment.captured"]


def test_what_a_page_says_that_is_printed_is_compared() -> None:
    """Fails when any output passes for what the page says."""
    assert is_printed("pay_…  captured\n1", "pay_01  captured\n1\n")
    assert not is_printed("pay_…  captured\n1", "pay_01  captured\n2\n")
    assert not is_printed("captured", "captured twice")
