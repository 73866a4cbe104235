"""The anomaly detector: what it may know, what it keeps over a restart, and what it says."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payonce.routing.watch import anomaly, patterns
from payonce.routing.watch.anomaly import AnomalyDetector, AnomalyScore, Constants, shipped_constants
from payonce.routing.watch.statistics import EVIDENCE

MINUTE_MS = 60_000
START_MS = 1_772_323_200_000  # 2026-03-01, 00:00 UTC
STATE_BYTES_MAX = 20_000  # a tenth of what a DynamoDB item holds, for twenty series in one


def noise(samples: int, *, seed: int = 1, level: float = 100.0, spread: float = 5.0) -> list[float]:
    source = random.Random(seed)
    return [source.gauss(level, spread) for _ in range(samples)]


def run(values: list[float], detector: AnomalyDetector | None = None, *, first: int = 0) -> list[AnomalyScore]:
    detector = detector or AnomalyDetector()
    return [detector.update(value, START_MS + (first + i) * MINUTE_MS) for i, value in enumerate(values)]


def alarms(scores: list[AnomalyScore]) -> list[int]:
    return [i for i, score in enumerate(scores) if score.alarm]


SERIES = st.lists(st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0]), min_size=1, max_size=250)


@settings(max_examples=30)
@given(SERIES, SERIES, SERIES)
def test_the_future_changes_no_score(past: list[float], future: list[float], other: list[float]) -> None:
    """Fails when a score is changed by a later value: checked with a histogram that outlives its detector."""
    past = noise(300) + past
    assert run(past + future)[: len(past)] == run(past + other)[: len(past)] == run(past)


@settings(max_examples=30)
@given(SERIES, SERIES)
def test_a_restart_changes_no_score(past: list[float], future: list[float]) -> None:
    """Short series, where all is still beginning; the next test has what a long one fills."""
    kept = AnomalyDetector()
    run(past, kept)
    restored = AnomalyDetector.restore(json.loads(json.dumps(kept.state())))
    assert run(future, restored, first=len(past)) == run(future, kept, first=len(past))


def test_a_restart_amid_a_long_series_changes_no_score() -> None:
    """Memories are full, episodes known and a rest under way.

    Fails when a part of the state is not restored (checked for each), or a pattern is not rounded on the way in.
    """
    values = noise(2_500)
    for at in range(300, 2_500, 170):
        values[at : at + 4] = [400.0] * 4
    kept = AnomalyDetector()
    assert alarms(run(values[:2_012], kept))
    restored = AnomalyDetector.restore(json.loads(json.dumps(kept.state())))
    assert run(values[2_012:], restored, first=2_012) == run(values[2_012:], kept, first=2_012)
    assert restored.state() == kept.state()


def test_the_state_stays_small() -> None:
    """Fails when something grows with the series."""
    detector = AnomalyDetector()
    source = random.Random(3)
    sizes = []
    for part in range(6):  # a week of minutes is four of them: then every hour's level is there
        run([source.lognormvariate(3, 1.5) for _ in range(3_000)], detector, first=part * 3_000)
        sizes.append(len(json.dumps(detector.state())))
    assert max(sizes) < STATE_BYTES_MAX
    assert sizes[-1] < sizes[3] * 1.02


@pytest.mark.parametrize(
    ("values", "evidence"),
    [
        ([*noise(1500), 250.0, 255.0], "level"),
        ([*noise(1500), *noise(30, level=160)], "shift"),
        ([*noise(1500), *([100.0] * 40)], "quiet"),
        ([*noise(1500), *noise(40, level=150)], "rare"),
        ([*noise(1500), *([100.0, 130.0] * 8)], "shape"),
    ],
)
def test_each_kind_of_anomaly_is_seen(values: list[float], evidence: str) -> None:
    """Fails when the evidence named is not collected."""
    after = run(values)[1500:]
    before = run(values)[700:1500]
    assert max(score.features[evidence] for score in after) > 1.1 * max(score.features[evidence] for score in before)
    assert any(score.alarm for score in after)


def test_a_usual_value_at_an_unusual_hour_is_seen() -> None:
    """Fails when the hour of the day is not looked at: the value is that of each noon, and it comes at midnight."""
    source = random.Random(2)
    step_ms = 10 * MINUTE_MS
    day = [100 + 50 * math.sin(2 * math.pi * (i / 144 - 0.25)) for i in range(144)]
    values = [day[i % 144] + source.gauss(0, 1) for i in range(144 * 15)]
    values[144 * 14 : 144 * 14 + 3] = [150.0] * 3
    detector = AnomalyDetector()
    scores = [detector.update(value, START_MS + i * step_ms) for i, value in enumerate(values)]
    usual = max(score.features["daily"] for score in scores[144 * 7 : 144 * 14])
    assert usual < 3
    assert max(score.features["daily"] for score in scores[144 * 14 : 144 * 14 + 3]) > 9


def test_probability_is_calibrated_on_noise() -> None:
    """Fails when the probability is not a share of the past: one sample of a hundred is above 0.99, not one of ten."""
    scores = [score for seed in range(5) for score in run(noise(4_000, seed=seed))[1_000:]]
    above = [sum(score.probability > level for score in scores) / len(scores) for level in (0.9, 0.99, 0.999)]
    assert above[0] == pytest.approx(0.1, abs=0.02)
    assert above[1] == pytest.approx(0.01, abs=0.005)
    assert above[2] < 0.004


def test_probability_does_not_tire_and_the_alarm_does() -> None:
    """Fails without habituation, or when it reaches the probability."""
    values = noise(6_000)
    spikes = list(range(1_000, 6_000, 700))
    for at in spikes:
        values[at : at + 3] = [160.0] * 3
    scores = run(values)
    untired = run(values, AnomalyDetector(replace(shipped_constants(), habituation=0.0)))
    assert all(max(score.probability for score in scores[at : at + 3]) > 0.99 for at in spikes)
    assert [score.probability for score in scores] == [score.probability for score in untired]
    assert scores[spikes[0] + 1].surprise == pytest.approx(untired[spikes[0] + 1].surprise, rel=0.3)
    assert scores[spikes[-1] + 1].surprise < untired[spikes[-1] + 1].surprise * 0.6


def test_one_alarm_per_episode() -> None:
    """Fails without the rest."""
    scores = run([*noise(1_000), *noise(10, level=300), *noise(200, seed=2)])
    late = [i for i in alarms(scores) if i >= 1_000]
    assert len(late) == 1
    assert late[0] < 1_003
    assert all(score.resting for score in scores[late[0] + 1 : late[0] + anomaly.REST_MIN])


def test_a_failure_is_not_learned_while_it_begins() -> None:
    """A slow climb stays far from what is known. Fails when patterns are learned at once: see ``DELAY_SAMPLES``."""
    known = patterns.PatternMemory(1, 64, 32)
    for value in noise(500):
        known.learn((value,), 0.0)
    distances = []
    for i in range(patterns.DELAY_SAMPLES):
        pattern = (110.0 + 2 * i,)
        distances.append(known.distance(pattern) or 0.0)
        known.learn(pattern, 3.0)
    assert distances[-1] > 80


def test_a_shift_of_all_values_changes_no_score() -> None:
    """Fails when a constant has the series' unit. Whole numbers, so that the shift itself loses no digit."""
    values = [float(round(value)) for value in noise(600)]
    shifted = run([value + 65_536 for value in values])
    for one, other in zip(run(values), shifted, strict=True):
        assert one.surprise == pytest.approx(other.surprise, abs=1e-9)


def test_a_scale_of_all_values_changes_no_score() -> None:
    """Milliseconds or seconds: fails when a constant has the series' unit."""
    values = noise(600)
    for one, other in zip(run(values), run([value / 1024 for value in values]), strict=True):
        assert one.surprise == pytest.approx(other.surprise, abs=1e-9)


def test_deviation_has_a_sign() -> None:
    assert run([*noise(200), 200.0])[-1].deviation > 5
    assert run([*noise(200), 0.0])[-1].deviation < -5


def test_a_constant_series_is_no_anomaly_and_its_first_move_is() -> None:
    scores = run([7.0] * 500 + [8.0] * 3)
    assert not alarms(scores[:500])
    assert any(score.alarm for score in scores[500:])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e31])
def test_what_is_no_number_is_refused(value: float) -> None:
    """Fails without the check: one NaN would stay in every mean for good."""
    detector = AnomalyDetector()
    run(noise(50), detector)
    before = json.dumps(detector.state())
    with pytest.raises(ValueError, match="not a value to be scored"):
        detector.update(value, START_MS)
    assert json.dumps(detector.state()) == before


def _without(name: str) -> dict[str, object]:
    detector = AnomalyDetector()
    run(noise(200), detector)
    state = detector.state()
    del state[name]
    return state


@pytest.mark.parametrize(
    "state",
    [None, [], "x", {}, {"version": 2}, *(_without(name) for name in AnomalyDetector().state())],
    ids=lambda state: str(state)[:20],
)
def test_a_corrupt_state_is_refused(state: object) -> None:
    with pytest.raises(ValueError):
        AnomalyDetector.restore(state)


@pytest.mark.parametrize("cut", [1, 3, 6])
def test_cut_patterns_are_refused(cut: int) -> None:
    detector = AnomalyDetector()
    run(noise(400), detector)
    state = detector.state()
    state["collector"]["shape"][3] = state["collector"]["shape"][3][: -4 * cut]
    with pytest.raises(ValueError, match="not whole"):
        AnomalyDetector.restore(state)


@pytest.mark.parametrize("kind", ["general", "latency"])
def test_constants_are_shipped_with_their_provenance(kind: str) -> None:
    stored = json.loads(anomaly._CONSTANTS_FILE.read_text())
    constants = shipped_constants(kind)
    assert constants == Constants.parse(stored["constants"][kind])
    assert len(constants.weights) == len(EVIDENCE)
    provenance = stored["provenance"][kind]
    assert not set(provenance["fitted_on"]) & set(provenance["held_out"])
    assert len(provenance["fitted_on"]) + len(provenance["held_out"]) == {"general": 58, "latency": 12}[kind]
    assert len(provenance["data_sha256"]) == 64


def test_latencies_are_scored_by_their_logarithm() -> None:
    """Ten times as slow and a tenth as slow are as far. Fails when the value itself is scored."""
    values = [math.exp(value) for value in noise(300, level=5, spread=0.2)]
    slow, fast = (
        run([*values, factor * 148.4], AnomalyDetector(shipped_constants("latency")))[-1] for factor in (8, 1 / 8)
    )
    assert slow.deviation == pytest.approx(-fast.deviation, rel=0.2)
    with pytest.raises(ValueError, match="not a value"):
        AnomalyDetector(shipped_constants("latency")).update(-1.0, START_MS)
