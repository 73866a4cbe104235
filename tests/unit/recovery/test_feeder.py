"""The feeder: what it releases, when, and what it leaves to the next run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import StoreUnavailable
from payonce.domain.ids import UlidSource
from payonce.idempotency.open_claims import OpenClaim, OpenPage
from payonce.idempotency.record_items import shard_of
from payonce.ports import Adjust, Deadline, Table
from payonce.recovery.book import FEEDER_KEY, LEAD_MS, Book
from payonce.recovery.feeder import MAX_LANES, REMEMBERED_MS, Feeder, FeederReport, Feeding
from payonce.recovery.lanes import LONGEST_PAUSE_MS, Asked
from payonce.recovery.messages import CLAIMS_PER_MESSAGE, AskMessage, parse_ask
from payonce.stores.memory import MemoryDatabase
from tests.support.world import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from payonce.ports import Item, QueueMessage

BOUND = 100.0
RUN_MS = 65_000


@dataclass
class Bench:
    """A feeder on a clock that moves when it sleeps. ``ask`` plays the askers: it is called before every tick."""

    bounds: dict[str, float] = field(default_factory=lambda: {"bank": BOUND})
    claims: dict[str, OpenClaim] = field(default_factory=dict)
    ask: Callable[[AskMessage], Asked] = lambda message: Asked(len(message.claims))
    clock: ManualClock = field(default_factory=ManualClock)
    sent: list[tuple[int, AskMessage]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    limits: dict[str, float] = field(default_factory=dict)
    ticks: list[int] = field(default_factory=list)
    queue_fails: int = 0
    overview_fails: bool = False
    kept: list[tuple[list[str], int, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.database = MemoryDatabase()
        self.book = Book(self.database)
        self._unheard: list[AskMessage] = []

    def open(self, count: int, *, lane: str = "bank", merchant: str = "m") -> None:
        for number in range(count):
            name = f"{merchant}#op#{lane}{number}"
            self.claims[name] = OpenClaim(name, lane, self.clock.ms - 10_000 + number, self.clock.ms - 100_999)

    def open_page(self, shard: int, *, limit: int, start: Item | None = None, due_by_ms: int | None = None) -> OpenPage:
        """See ``OpenClaims``."""
        return OpenPage([claim for claim in self.claims.values() if shard_of(claim.record_id) == shard], None)

    def send(self, messages: Sequence[QueueMessage]) -> None:
        """See ``MessageQueue``."""
        if messages and self.queue_fails:
            self.queue_fails -= 1
            raise StoreUnavailable("no answer")
        for message in messages:
            parsed = parse_ask(message.body)
            self.sent.append((self.clock.ms, parsed))
            self._unheard.append(parsed)

    def sleep(self, seconds: float) -> None:
        self.clock.ms += int(seconds * 1000)
        for message in self._unheard:
            self.book.add(message.lane, self.ask(message))
        self._unheard.clear()

    def feeding(self) -> Feeding:
        return Feeding(
            store=self,
            book=self.book,
            queue=self,
            clock=self.clock,
            ids=UlidSource(self.clock.now_ms, lambda size: len(self.sent).to_bytes(size, "big")),
            sleep=self.sleep,
            bounds=self.bounds,
            other_bound=10.0,
            limits=self.limits_now,
            report_error=lambda name, error: self.errors.append(f"{name}: {error}"),
            keep=self.keep,
        )

    def limits_now(self) -> dict[str, float]:
        self.ticks.append(self.clock.ms)
        return self.limits

    def feeder(self) -> Feeder:
        return Feeder(self.feeding())

    def keep(self, doubts: list[tuple[str, int]], _now_ms: int, complete: bool) -> None:
        """Keep what the overview is told, or fail."""
        if self.overview_fails:
            raise StoreUnavailable("throttled")
        self.kept.append((sorted({scope for scope, _ in doubts}), len(doubts), complete))

    def run(self) -> FeederReport:
        return self.feeder().run(Deadline(self.clock.ms + RUN_MS))

    def released(self, lane: str = "bank") -> list[str]:
        return [claim for _, message in self.sent for claim in message.claims if message.lane == lane]


def answers(message: AskMessage) -> Asked:
    count = len(message.claims)
    return Asked(count, 2 * count, 0, count)


def silence(message: AskMessage) -> Asked:
    count = len(message.claims)
    return Asked(count, count, count, 0)


def test_the_overview_is_told_what_is_in_doubt_and_can_not_stop_a_run() -> None:
    """Fails when a doubt is left out, or when an error of the overview keeps claims from being asked about."""
    bench = Bench(ask=answers)
    bench.open(30)
    bench.open(5, merchant="other")
    assert bench.run().in_doubt == 35
    assert bench.kept == [(["m", "other"], 35, True)]
    failing = Bench(ask=answers, overview_fails=True)
    failing.open(30)
    report = failing.run()
    assert (report.released, report.failed) == (30, 0)
    assert failing.errors == ["overview: throttled"]


def test_everything_that_is_due_is_released_once_at_the_pace() -> None:
    """Fails when a claim is released twice in a run, or faster than the bound."""
    bench = Bench(ask=answers)
    bench.open(1_000)
    report = bench.run()
    assert sorted(bench.released()) == sorted(bench.claims)
    assert (report.in_doubt, report.released, report.waiting, report.failed) == (1_000, 1_000, 0, 0)
    by_second: dict[int, int] = {}
    for at_ms, message in bench.sent:
        assert len(message.claims) <= CLAIMS_PER_MESSAGE
        by_second[at_ms] = by_second.get(at_ms, 0) + len(message.claims)
    assert max(by_second.values()) * 2 <= BOUND * 1.25


def refuse(*_: object) -> None:
    raise AssertionError("something is written")


def test_a_run_without_anything_to_do_ends_at_once_and_writes_nothing() -> None:
    bench = Bench()
    before = bench.clock.ms
    bench.database.write = refuse  # type: ignore[method-assign, assignment]
    nothing = FeederReport(
        in_doubt=0, oldest_seconds=0, waiting=0, released=0, concluded=0, unanswered=0, drain_seconds=0, failed=0
    )
    assert bench.run() == nothing == FeederReport()
    del bench.database.write
    assert (bench.clock.ms, bench.book.lead("other", before)) == (before, bench.book.lead("other", before))


def test_a_silent_gateway_is_probed_and_the_others_go_on() -> None:
    """Fails when one gateway's outage delays another's claims, or the backlog is asked about in vain."""
    bench = Bench(bounds={"bank": BOUND, "dead": BOUND})
    bench.ask = lambda message: silence(message) if message.lane == "dead" else answers(message)
    bench.open(500, lane="dead")
    bench.open(500)
    report = bench.run()
    assert len(bench.released()) == 500
    assert 4 <= len(bench.released("dead")) <= 8
    assert report.waiting == 500 - len(bench.released("dead"))
    assert report.released == 500 + len(bench.released("dead"))
    assert report.unanswered == len(bench.released("dead"))
    times = [at_ms for at_ms, message in bench.sent if message.lane == "bank"]
    assert {later - earlier for earlier, later in pairwise(times)} <= {0, 1_000}
    assert report.drain_seconds == 0  # nothing can be said of a gateway that does not answer
    last_ms, last = bench.sent[-1]
    assert (last.lane, len(last.claims)) == ("dead", 1)
    assert last_ms - bench.sent[-2][0] == LONGEST_PAUSE_MS


def test_claims_that_name_nobody_are_told_who_is_silent_and_find_out_who_is_back() -> None:
    """Fails when they are sent into a gateway that is down; or when nobody ever asks it again, because it has no other
    claims: they would stay open for good.
    """
    bench = Bench(bounds={"dead": BOUND})
    bench.ask = silence
    bench.open(20, lane="dead")
    bench.run()
    assert {message.silent for _, message in bench.sent} == {frozenset()}
    bench.claims.clear()
    bench.sent.clear()
    bench.open(1_000, lane="")
    bench.run()
    probes = [at_ms for at_ms, message in bench.sent if not message.silent]
    assert {later - earlier for earlier, later in pairwise(probes)} == {LONGEST_PAUSE_MS}
    assert {message.silent for _, message in bench.sent} == {frozenset(), frozenset({"dead"})}
    assert 3 <= len(probes) <= 6


def test_claims_that_name_nobody_may_ask_who_is_back_at_once() -> None:
    """Fails when a lane that answers again counts as silent until the time of its next probe, or hides another's
    silence.
    """
    bench = Bench(bounds={"bank": BOUND, "back": BOUND, "dead": BOUND})
    back_at_ms = bench.clock.ms + 20_000
    answering = {"bank", ""}

    def ask(message: AskMessage) -> Asked:
        if message.lane == "back" and bench.clock.ms >= back_at_ms:
            answering.add("back")
        return answers(message) if message.lane in answering else silence(message)

    bench.ask = ask
    for lane in bench.bounds:
        bench.open(100, lane=lane)
    bench.open(3_000, lane="")
    bench.run()
    back_since_ms = next(at_ms for at_ms, message in bench.sent if "back" in message.answering_since_ms)
    named = {frozenset(): 0, frozenset({"dead"}): 0}
    for at_ms, message in bench.sent:
        if at_ms >= back_since_ms and message.lane == "":
            named[message.silent] += 1
    assert named[frozenset()] < named[frozenset({"dead"})]


def test_while_all_are_silent_nothing_is_done_between_their_probes() -> None:
    """Fails when a feeder ticks through an outage, which costs 60 writes a minute, or sleeps over one lane's probe."""
    bench = Bench(bounds={"dead": BOUND, "later": BOUND})
    silent_at_ms = bench.clock.ms + 5_000
    bench.ask = lambda message: (
        answers(message) if message.lane == "later" and bench.clock.ms < silent_at_ms else silence(message)
    )
    bench.open(1_000, lane="later")
    bench.open(1_000, lane="dead")
    bench.feeder().run(Deadline(bench.clock.ms + 10 * RUN_MS))
    probes = {lane: [at_ms for at_ms, message in bench.sent if message.lane == lane][-20:] for lane in bench.bounds}
    for times in probes.values():
        assert {later - earlier for earlier, later in pairwise(times)} == {LONGEST_PAUSE_MS}
    assert not {*probes["dead"]} & {*probes["later"]}  # neither waits for the other
    heard_at_ms = {at_ms + 1_000 for at_ms, _ in bench.sent}
    idle = [at_ms for at_ms in bench.ticks if at_ms not in heard_at_ms | {sent_ms for sent_ms, _ in bench.sent}]
    assert [at_ms for at_ms in idle if at_ms > silent_at_ms + 60_000] == []


def test_an_answer_is_heard_a_second_later_while_another_gateway_is_silent() -> None:
    """Fails when the feeder then sleeps until the next probe, and the claims of who is back wait as long."""
    bench = Bench(bounds={"dead": BOUND, "back": BOUND})
    silent_at_ms, back_at_ms = bench.clock.ms + 5_000, bench.clock.ms + 40_000

    def ask(message: AskMessage) -> Asked:
        answering = {"dead": bench.clock.ms < silent_at_ms, "back": bench.clock.ms >= back_at_ms}
        return answers(message) if answering[message.lane] else silence(message)

    bench.ask = ask
    for lane in bench.bounds:
        bench.open(500, lane=lane)
    bench.run()
    sent = [(at_ms, len(message.claims)) for at_ms, message in bench.sent if message.lane == "back"]
    first = next(place for place, (_, claims) in enumerate(sent) if claims > 1)
    assert sent[first][0] - sent[first - 1][0] == 1_000


def test_a_gateway_that_is_back_does_not_wait_for_a_limit_that_is_gone() -> None:
    """Routing lets nothing through when it comes back. Fails when the feeder then sleeps until a probe's time."""
    bench = Bench()
    back_at_ms = bench.clock.ms + 40_000

    def ask(message: AskMessage) -> Asked:
        if bench.clock.ms < back_at_ms:
            return silence(message)
        bench.limits["bank"] = 0.0 if not bench.limits else 50.0
        return answers(message)

    bench.ask = ask
    bench.open(100)
    bench.feeder().run(Deadline(bench.clock.ms + RUN_MS))
    seen_ms = bench.sent[-1][0] + 1_000
    assert bench.limits == {"bank": 0.0}
    assert [later - earlier for earlier, later in pairwise(at for at in bench.ticks if at >= seen_ms)][:5] == [
        1_000
    ] * 5


def test_lanes_beyond_those_whose_counters_are_read_wait() -> None:
    """Fails when the feeder breaks at the first of them."""
    bench = Bench(ask=answers)
    for number in range(MAX_LANES + 1):
        bench.open(2, lane=f"proxy:{number:03d}")
    report = bench.run()
    assert report.failed == 0
    assert len({message.lane for _, message in bench.sent}) == MAX_LANES - 1  # one of the counters is the bank's
    assert report.waiting == 2 * 2


def test_the_end_of_a_silence_opens_the_lane_in_the_same_run() -> None:
    """Fails when a gateway that is back is only seen a minute later."""
    bench = Bench()
    back_at_ms = bench.clock.ms + 20_000
    bench.ask = lambda message: answers(message) if bench.clock.ms >= back_at_ms else silence(message)
    bench.open(3_000)
    bench.run()
    first = next(at_ms for at_ms, message in bench.sent if len(message.claims) > 1)
    assert first - back_at_ms <= LONGEST_PAUSE_MS + 2_000
    assert len(bench.released()) > 500


def test_since_when_a_gateway_answers_is_in_the_messages() -> None:
    """Fails when askers can't tell our queue from the gateway's outage."""
    bench = Bench(ask=answers)
    bench.open(100)
    bench.run()
    assert bench.sent[0][1].answering_since_ms == {}  # not known yet
    assert bench.sent[-1][1].answering_since_ms == {"bank": bench.sent[0][0] + 1_000}


def test_what_the_run_before_has_just_released_is_not_released_again() -> None:
    """The index shows it still. Fails when the next run releases it a second time."""
    bench = Bench(ask=answers)
    bench.open(4_000)
    bench.run()
    before = set(bench.released())
    late = {claim for at_ms, message in bench.sent if at_ms > bench.clock.ms - 10_000 for claim in message.claims}
    for claim in before - late:
        del bench.claims[claim]
    bench.sent.clear()
    bench.run()
    assert late
    assert not late & set(bench.released())


def test_what_was_released_longer_ago_and_is_still_due_is_released_again() -> None:
    """Its message may be lost. Fails when the marks of a whole run are left to the next one."""
    bench = Bench(ask=answers)
    bench.open(4_000)
    bench.run()
    early, late = set[str](), set[str]()
    for at_ms, message in bench.sent:
        (late if at_ms >= bench.clock.ms - REMEMBERED_MS else early).update(message.claims)
    bench.sent.clear()
    bench.run()
    again = set(bench.released())
    assert early <= again
    assert not late & again


def test_a_run_that_never_leads_says_what_waits() -> None:
    """Fails when it breaks because it knows of no lane, counts one lane alone, or ends somebody else's lead."""
    bench = Bench(bounds={"bank": BOUND, "other": BOUND}, ask=answers)
    bench.open(100)
    bench.open(20, lane="other")
    bench.book.lead("leader", bench.clock.ms)
    report = bench.feeder().run(Deadline(bench.clock.ms + 1_000))
    assert (report.waiting, report.released, report.drain_seconds, bench.sent) == (120, 0, 0, [])
    assert bench.book.lead("third", bench.clock.ms) is None


def test_a_run_whose_time_is_over_releases_nothing() -> None:
    bench = Bench(ask=answers)
    bench.open(100)
    assert bench.feeder().run(Deadline(bench.clock.ms)).waiting == 100
    assert bench.sent == []


def test_the_shards_are_read_by_the_means_that_is_wired() -> None:
    """Fails when they are read one after the other, which takes a run of 100,000 claims its lead."""
    bench = Bench(ask=answers)
    bench.open(10)
    read: list[int] = []

    def each(function: Callable[[Any], Any], shards: Sequence[Any]) -> list[Any]:
        read.extend(shards)
        return [function(shard) for shard in shards]

    wired: Any = each
    Feeder(replace(bench.feeding(), each=wired)).run(Deadline(bench.clock.ms))
    assert len(read) == len(set(read)) > 1


def test_a_run_stands_by_while_another_one_leads() -> None:
    """Fails when both feed at the pace, which is then twice what the gateway takes."""
    bench = Bench(ask=answers)
    bench.open(100)
    bench.book.lead("other", bench.clock.ms)
    began_ms = bench.clock.ms
    bench.run()
    assert bench.sent[0][0] >= began_ms + LEAD_MS


def test_who_has_lost_the_lead_releases_nothing_more() -> None:
    bench = Bench(ask=answers)
    bench.open(1_000)

    def overtaken(message: AskMessage) -> Asked:
        stolen = Adjust(table=Table.ROUTING, key=FEEDER_KEY, set={"leader": "other"})
        bench.database.write([stolen])
        return answers(message)

    bench.ask = overtaken
    report = bench.run()
    assert (report.released, len(bench.sent)) == (1, 1)
    assert report.failed == 0


def test_a_queue_that_fails_costs_what_was_to_be_sent_and_no_more() -> None:
    """These claims are still due: the next run releases them. Fails when the run ends with the first error."""
    bench = Bench(ask=answers, queue_fails=2)
    bench.open(300)
    report = bench.run()
    assert report.failed == 2
    assert len(bench.released()) == 298  # the first two were probes
    assert bench.errors == ["recovery tick: no answer"] * 2


def test_a_limit_of_routing_holds_back() -> None:
    bench = Bench(ask=answers, limits={"bank": 3.0})
    bench.open(1_000)
    report = bench.run()
    most = max(sum(len(m.claims) for at, m in bench.sent if at == moment) for moment in {at for at, _ in bench.sent})
    assert most == 3
    assert report.waiting > 700


def test_claims_that_name_nobody_have_a_pace_of_their_own() -> None:
    bench = Bench(bounds={"bank": BOUND})
    bench.ask = answers
    bench.open(100, lane="")
    bench.open(10, lane="proxy:shop")
    bench.run()
    assert len(bench.released("")) == 100
    assert len(bench.released("proxy:shop")) == 10


def test_how_long_the_rest_takes_is_estimated_from_the_pace() -> None:
    bench = Bench(ask=answers)
    bench.open(10_000)
    report = bench.run()
    assert report.drain_seconds == report.waiting * 2 // int(BOUND)
    assert report.oldest_seconds == 100
    unheard = sum(len(message.claims) for at_ms, message in bench.sent if at_ms == bench.sent[-1][0])
    assert report.concluded == report.released - unheard


def test_a_lane_for_which_nothing_waits_for_a_while_is_not_forgotten() -> None:
    """Fails when what was concluded for it long ago is counted again."""
    bench = Bench(ask=answers)
    for lane, count in (("", 50), ("", 1), ("bank", 5)):
        bench.claims.clear()
        bench.open(count, lane=lane)
        bench.run()
    bench.claims.clear()
    bench.open(1, lane="")
    assert bench.run().concluded <= 5 + 1
