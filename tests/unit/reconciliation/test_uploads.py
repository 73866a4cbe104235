"""Files that people bring: looked at, handed in, accepted by the inbox, and what is known of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.errors import BodyTooLarge, FileRejected, NotFound, StoreUnavailable
from payonce.reconciliation.readers.read import file_id_of
from payonce.reconciliation.runs.run_policy import RunPolicy
from payonce.reconciliation.runs.upload_desk import MAX_UPLOAD_BYTES, UPLOADS, UploadDesk, reading_of
from payonce.reconciliation.runs.uploads import UploadState, list_refusals, list_uploads, remember_refusal
from tests.unit.reconciliation.test_inbox import REPORT, STATEMENT, World

if TYPE_CHECKING:
    from collections.abc import Callable

ANN, BOB = "operator:ann", "operator:bob"


def desk_of(world: World, policy: Callable[[], RunPolicy] = RunPolicy) -> UploadDesk:
    return UploadDesk(
        files=world.files, database=world.database, clock=world.clock, gateways=("bank_a", "bank_b"), policy=policy
    )


def test_a_statement_is_looked_at_handed_in_and_accepted_by_the_inbox() -> None:
    """Fails when the way of an upload ends beside that of every other file."""
    world = World()
    desk = desk_of(world)
    upload = desk.look_at("C:\\bank\\march 1.csv", STATEMENT, by=ANN)
    assert (upload.state, upload.name, upload.line_count, upload.is_bank) == (
        UploadState.READABLE,
        "march 1.csv",
        1,
        True,
    )
    assert reading_of(world.files, upload.file_id)["lines"][0]["amount_minor"] == 550
    assert [name for name in world.files.stored if name.startswith("incoming/")] == []
    handed = desk.hand_in(upload.file_id, gateway=None, by=BOB)
    assert (handed.state, handed.handed_in_by) == (UploadState.HANDED_IN, BOB)
    assert handed.placed_as == f"incoming/bank/console/{upload.file_id[:16]}-march_1.csv"
    assert list_uploads(world.database, limit=20) == [(handed, None)]
    arrival = world.inbox.accept(str(handed.placed_as))
    assert (arrival.new, arrival.file.file_id) == (True, upload.file_id)
    ((_, accepted),) = list_uploads(world.database, limit=20)
    assert accepted == arrival.file == desk.known(upload.file_id)


def test_a_report_is_of_a_gateway_that_somebody_names() -> None:
    world = World()
    desk = desk_of(world)
    upload = desk.look_at("report.csv", REPORT, by=ANN)
    for gateway in (None, "", "nobody", "../bank"):
        with pytest.raises(FileRejected, match="Say which gateway"):
            desk.hand_in(upload.file_id, gateway=gateway, by=ANN)
    handed = desk.hand_in(upload.file_id, gateway="bank_b", by=ANN)
    assert str(handed.placed_as).startswith("incoming/gateway/bank_b/console/")
    assert world.inbox.accept(str(handed.placed_as)).file.gateway == "bank_b"


def test_a_wrong_file_is_not_handed_in_and_can_be_looked_at_again() -> None:
    """Fails when what a page offers is the only thing that keeps a wrong file out."""
    world = World()
    desk = desk_of(world)
    upload = desk.look_at("bad.csv", STATEMENT.replace(b",5.50", b",x"), by=ANN)
    assert (upload.state, upload.wrong_count) == (UploadState.WRONG, 1)
    assert reading_of(world.files, upload.file_id)["wrong"][0]["line"] == 3
    with pytest.raises(FileRejected, match="which line is wrong"):
        desk.hand_in(upload.file_id, gateway=None, by=ANN)
    assert desk.look_at("bad2.csv", STATEMENT.replace(b",5.50", b",x"), by=BOB).uploaded_by == ANN
    assert len(list_uploads(world.database, limit=20)) == 1


def test_a_file_that_was_accepted_before_is_known_and_not_handed_in_again() -> None:
    world = World()
    desk = desk_of(world)
    first = world.put("incoming/bank/first.csv", STATEMENT)
    upload = desk.look_at("again.csv", STATEMENT, by=ANN)
    assert desk.known(upload.file_id) == first.file
    with pytest.raises(FileRejected, match=r"accepted already, as incoming/bank/first\.csv"):
        desk.hand_in(upload.file_id, gateway=None, by=ANN)


def test_handing_in_twice_and_after_a_crash_puts_one_file_in_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    desk = desk_of(world)
    upload = desk.look_at("a.csv", STATEMENT, by=ANN)

    def lost(*_: Any, **__: Any) -> None:
        raise StoreUnavailable("gone")

    with monkeypatch.context() as broken:
        broken.setattr("payonce.reconciliation.runs.upload_desk.change_upload", lost)
        with pytest.raises(StoreUnavailable):
            desk.hand_in(upload.file_id, gateway=None, by=ANN)
    first = desk.hand_in(upload.file_id, gateway=None, by=ANN)
    assert desk.hand_in(upload.file_id, gateway=None, by=BOB) == first
    assert [name for name in world.files.stored if name.startswith("incoming/")] == [first.placed_as]
    assert desk.look_at("b.csv", STATEMENT, by=BOB) == first


@pytest.mark.parametrize("change", [b"", b"changed"])
def test_what_is_handed_in_is_what_was_looked_at(change: bytes) -> None:
    """Fails when the bytes that somebody has seen and those that are accepted may differ."""
    world = World()
    desk = desk_of(world)
    upload = desk.look_at("a.csv", STATEMENT, by=ANN)
    if change:
        world.files.stored[UPLOADS + upload.file_id] = change
    else:
        del world.files.stored[UPLOADS + upload.file_id]
    with pytest.raises(NotFound, match="Upload it again"):
        desk.hand_in(upload.file_id, gateway=None, by=ANN)


def test_the_limit_is_said() -> None:
    desk = desk_of(World())
    with pytest.raises(BodyTooLarge, match=r"4,000,000 can be uploaded here.*incoming/"):
        desk.look_at("a.csv", b"x" * (MAX_UPLOAD_BYTES + 1), by=ANN)
    with pytest.raises(FileRejected, match="No file was chosen"):
        desk.look_at("a.csv", b"", by=ANN)


@pytest.mark.parametrize("file_id", ["", "x", "../../policy/run.toml", "A" * 64, "0" * 63])
def test_an_id_that_is_none_reads_nothing(file_id: str) -> None:
    world = World()
    with pytest.raises(NotFound):
        reading_of(world.files, file_id)
    with pytest.raises(NotFound):
        desk_of(world).hand_in(file_id, gateway=None, by=ANN)


@pytest.mark.parametrize("name", ["../../etc/passwd", "..", "", "a\x00b\u202e.csv", "=cmd|' /C calc'!A0", "x" * 500])
def test_a_name_is_text_and_no_path(name: str) -> None:
    desk = desk_of(World())
    upload = desk.look_at(name, STATEMENT, by=ANN)
    assert len(upload.name) <= 200
    assert upload.name.isprintable()
    handed = desk.hand_in(upload.file_id, gateway=None, by=ANN)
    folder, _, last = str(handed.placed_as).rpartition("/")
    assert (folder, last.startswith(file_id_of(STATEMENT)[:16])) == ("incoming/bank/console", True)
    assert len(last) < 100


def test_refused_files_are_listed_newest_first() -> None:
    world = World()
    for number in range(3):
        remember_refusal(world.database, f"incoming/{number}", "x" * 2_000, number)
    listed = list_refusals(world.database, limit=2)
    assert [(one.name, len(one.reason), one.at_ms) for one in listed] == [
        ("incoming/2", 1_000, 2),
        ("incoming/1", 1_000, 1),
    ]
