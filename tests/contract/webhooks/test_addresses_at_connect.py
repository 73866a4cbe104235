"""The address that is connected to is the one that was checked, whatever a name server says and when."""

from __future__ import annotations

import socket
import threading
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from payonce.domain.delivery import Answer, NoAnswer, NoAnswerReason
from payonce.network import webhook_sender
from payonce.network.addresses import refusal
from tests.contract.webhooks.courier import (
    BUDGET_SECONDS,
    HOST,
    PATIENCE_SECONDS,
    Courier,
    answering,
    recording,
    untouched,
)
from tests.contract.webhooks.tls import behind_tls
from tests.support.tcp_faults import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from payonce.domain.delivery import Exchanged
    from payonce.network.addresses import Address
    from tests.support.certificates import Authority

STAND_IN = "127.0.0.2"  # for a public address: tests send nothing beyond this machine
METADATA = "169.254.169.254"


@pytest.fixture
def victim() -> Iterator[socket.socket]:
    """A service of this machine that nobody may connect to."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """One loopback address counts as public; every other is judged as always."""

    def judge(address: Address) -> str | None:
        return None if address == ip_address(STAND_IN) else refusal(address)

    monkeypatch.setattr(webhook_sender, "refusal", judge)


def reason(outcome: Exchanged) -> NoAnswerReason:
    """Return why there is no answer."""
    assert isinstance(outcome, NoAnswer)
    return outcome.reason


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["::1"],
        ["10.0.0.1"],
        [METADATA],
        ["fd00:ec2::254"],
        ["::ffff:127.0.0.1"],
        ["fe80::1%1"],
        ["127.0.0.1", "1.1.1.1"],
        ["1.1.1.1", "127.0.0.1"],
        ["2606:4700::1111", "1.1.1.1", METADATA],
    ],
)
def test_a_name_with_any_address_that_is_not_public_is_refused(
    courier: Courier, victim: socket.socket, addresses: list[str]
) -> None:
    """Fails when addresses are not checked, or only the first: a packet would go out to the first public one here."""
    outcome = courier.post(
        f"https://{HOST}:{victim.getsockname()[1]}/", allow_local=False, resolve=lambda _host: addresses
    )
    assert reason(outcome) is NoAnswerReason.ADDRESS_REFUSED
    assert untouched([victim])


def test_what_the_resolver_found_is_not_told(courier: Courier) -> None:
    """Fails when a merchant can read names of our network out of the outcome."""
    outcome = courier.post(f"https://{HOST}/", allow_local=False, resolve=lambda _host: ["10.1.2.3"])
    assert isinstance(outcome, NoAnswer)
    assert "10.1.2.3" not in outcome.detail
    assert "private" not in outcome.detail


@pytest.mark.usefixtures("stand_in")
def test_a_name_server_that_changes_its_mind_is_not_asked_again(tls_courier: Courier, authority: Authority) -> None:
    """Fails when the name is resolved once for the check and once for the connection.

    ::

        resolve: public ─ check: good ─ (the record's TTL of 0 is over) ─ resolve again: 127.0.0.1 ─ connect
    """
    answers = [[STAND_IN], ["127.0.0.1"], ["127.0.0.1"]]
    asked: list[str] = []

    def rebind(host: str) -> list[str]:
        asked.append(host)
        return answers[len(asked) - 1]

    seen: list[bytes] = []
    handle = behind_tls(authority.issue(HOST), recording(seen))
    with serving(handle, host=STAND_IN) as port, socket.create_server(("127.0.0.1", port)) as victim:
        outcome = tls_courier.post(f"https://{HOST}:{port}/", allow_local=False, resolve=rebind)
        assert untouched([victim])
    assert isinstance(outcome, Answer)
    assert len(seen) == 1
    assert asked == [HOST]


@pytest.mark.usefixtures("stand_in")
def test_the_check_is_at_every_connection_and_not_at_registration(tls_courier: Courier, authority: Authority) -> None:
    """Fails when an earlier good answer is kept: the name leads elsewhere at the second delivery."""
    answers = iter([[STAND_IN], ["127.0.0.1"]])
    handle = behind_tls(authority.issue(HOST), recording([]))
    with serving(handle, host=STAND_IN) as port, socket.create_server(("127.0.0.1", port)) as victim:
        outcomes = [
            tls_courier.post(f"https://{HOST}:{port}/", allow_local=False, resolve=lambda _host: next(answers))
            for _ in range(2)
        ]
        assert untouched([victim])
    assert isinstance(outcomes[0], Answer)
    assert reason(outcomes[1]) is NoAnswerReason.ADDRESS_REFUSED


def test_odd_spellings_do_not_get_past_the_system_s_resolver(courier: Courier, victim: socket.socket) -> None:
    """Fails when a spelling that the URL's rules let through leads to this machine: the address is what is judged."""
    for host in ("127.0.0.1.", "0x7f.0.0.1", "127.1", "2130706433", "localhost"):
        outcome = courier.post(
            f"https://{HOST}:{victim.getsockname()[1]}/",
            allow_local=False,
            resolve=lambda _host, host=host: webhook_sender.system_addresses(host.rstrip(".")),  # type: ignore[misc]
        )
        assert reason(outcome) is NoAnswerReason.ADDRESS_REFUSED
    assert untouched([victim])


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1:{}/", "https://[::1]:{}/", "http://127.0.0.1:{}/", "http://hooks.example:{}/"]
)
def test_a_url_that_would_be_refused_at_registration_is_not_posted_to(
    courier: Courier, victim: socket.socket, url: str
) -> None:
    """Fails when a stored URL is trusted: rules get stricter, and stores are restored from backups."""
    outcome = courier.post(url.format(victim.getsockname()[1]), allow_local=False)
    assert reason(outcome) is NoAnswerReason.URL_REFUSED
    assert untouched([victim])


@pytest.mark.parametrize("address", ["10.0.0.1", METADATA, "168.63.129.16", "::ffff:127.0.0.1", "0.0.0.0", "::"])  # noqa: S104
def test_a_local_run_admits_this_machine_and_nothing_else_more(courier: Courier, address: str) -> None:
    """Fails when the switch for local runs opens private networks."""
    outcome = courier.post(f"https://{HOST}/", allow_local=True, resolve=lambda _host: [address])
    assert reason(outcome) is NoAnswerReason.ADDRESS_REFUSED


def test_http_goes_to_this_machine_only(courier: Courier) -> None:
    """Fails when a local run sends in the clear to wherever "localhost" leads: 1.1.1.1 would get a packet here."""
    outcome = courier.post("http://localhost/", allow_local=True, resolve=lambda _host: ["1.1.1.1"])
    assert reason(outcome) is NoAnswerReason.ADDRESS_REFUSED


def test_the_next_address_gets_its_chance(courier: Courier) -> None:
    """Fails when only the first of a host's addresses is tried."""
    with serving(answering(b"HTTP/1.1 204 No Content\r\n\r\n")) as port:
        outcome = courier.post(f"http://localhost:{port}/", resolve=lambda _host: ["::1", STAND_IN, "127.0.0.1"])
    assert isinstance(outcome, Answer)


def test_a_name_server_that_hangs_is_left_at_the_deadline(courier: Courier) -> None:
    """Fails when resolving, which knows no timeout, is outside the deadline."""
    woken = threading.Event()

    def hang(_host: str) -> Sequence[str]:
        woken.wait(PATIENCE_SECONDS)
        return ["127.0.0.1"]

    outcome = courier.post("http://localhost/", seconds=BUDGET_SECONDS, resolve=hang)
    woken.set()
    assert reason(outcome) is NoAnswerReason.TIMED_OUT


def raising(error: Exception) -> Callable[[str], Sequence[str]]:
    """Return a resolver that raises."""

    def fail(_host: str) -> Sequence[str]:
        raise error

    return fail


@pytest.mark.parametrize(
    "resolve",
    [
        raising(socket.gaierror(socket.EAI_NONAME, "Name or service not known")),
        raising(UnicodeError("label too long")),
        lambda _host: [],
        lambda _host: ["not an address"],
    ],
    ids=["unknown", "not encodable", "no address", "nonsense"],
)
def test_a_name_that_leads_nowhere_is_said(courier: Courier, resolve: Callable[[str], Sequence[str]]) -> None:
    """Fails when a resolver's error is raised, or taken for a refused connection."""
    assert reason(courier.post(f"https://{HOST}/", resolve=resolve)) is NoAnswerReason.NAME_NOT_RESOLVED
