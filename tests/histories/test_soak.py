"""The soak's measures: what a process does not give back is found, by the readings of a real one, too."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from histories.key_model import Outcome
from histories.slopes import Verdict
from histories.soak import Reading, Watch, measures
from histories.traffic import Sample

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 1800
WATCHED_SECONDS = 4.0
# It keeps 50 KB, a descriptor and a thread each time.
LEAKING = """
import threading, time
kept = []
while True:
    kept.append((bytearray(b"x" * 50_000), open("/dev/null")))
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    time.sleep(0.05)
"""


def readings(*, grows: str = "") -> list[Reading]:
    """Return half an hour of one process, a reading each two seconds; one member grows by 0.1 % of itself each time."""
    found = []
    for at in range(0, SECONDS, 2):
        values = {"resident_bytes": 100e6, "descriptors": 40.0, "threads": 20.0, "empty_seconds": 0.001}
        if grows in values:
            values[grows] *= 1 + at / 2000
        spent = 0.1 * at * (1 + at / 2000 if grows == "processor_seconds" else 1)
        found.append(Reading(at_seconds=at, processor_seconds=spent, **values))  # type: ignore[arg-type]
    return found


def samples(*, grows: bool = False) -> list[Sample]:
    """Return two requests a second."""
    return [Sample(at / 2, 0.01 * (1 + at / 4000 if grows else 1), Outcome.ANSWERED) for at in range(2 * SECONDS)]


def verdicts(found: list[Reading], asked: list[Sample]) -> dict[str, Verdict]:
    return {measure.name: measure.verdict for measure in measures(found, asked, SECONDS)}


def test_what_stays_is_flat() -> None:
    assert set(verdicts(readings(), samples()).values()) == {Verdict.FLAT}


@pytest.mark.parametrize(
    ("grows", "name"),
    [
        ("resident_bytes", "memory"),
        ("descriptors", "descriptors"),
        ("threads", "threads"),
        ("processor_seconds", "processor time of a request"),
    ],
)
def test_what_grows_is_found_and_nothing_else(grows: str, name: str) -> None:
    found = verdicts(readings(grows=grows), samples())
    assert [each for each, verdict in found.items() if verdict is Verdict.GROWS] == [name]


def test_latency_grows_unless_an_empty_requests_does_too() -> None:
    """Fails when a neighbour on the machine counts as a leak."""
    name = "the same, by an empty request's"
    assert verdicts(readings(), samples(grows=True))[name] is Verdict.GROWS
    assert verdicts(readings(grows="empty_seconds"), samples(grows=True))[name] is Verdict.FLAT


@pytest.fixture
def leaking() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", LEAKING])
    yield process
    process.kill()
    process.wait()


def test_a_process_that_leaks_is_seen_to(leaking: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("histories.soak.EVERY_SECONDS", 0.05)
    with Watch([leaking.pid], lambda: None) as watch:
        time.sleep(WATCHED_SECONDS)
    asked = [Sample(at / 20, 0.01, Outcome.ANSWERED) for at in range(int(20 * WATCHED_SECONDS))]
    found = {measure.name: measure.verdict for measure in measures(watch.readings, asked, WATCHED_SECONDS)}
    assert {found[name] for name in ("memory", "descriptors", "threads")} == {Verdict.GROWS}


def test_a_process_that_ends_ends_the_watch(leaking: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when a dead process counts as one that has given everything back."""
    monkeypatch.setattr("histories.soak.EVERY_SECONDS", 0.05)
    with pytest.raises(RuntimeError, match="has ended"), Watch([leaking.pid], lambda: None):
        leaking.kill()
        time.sleep(0.5)
