"""A duplicate that waits for an owner that dies: it takes the owner's place as soon as the lease has ended."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from payonce.idempotency.window import LEASE_MARGIN_MS
from tests.support.waited_child import TIMEOUT_SECONDS, guarded, write_down

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.stores import StoreAddress

WAIT_SECONDS = 30.0


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_duplicate_takes_over_from_a_killed_owner(shared_store: StoreAddress, tmp_path: Path, moment: str) -> None:
    """Fails when the wait ends before the lease can: the owner is gone, and yet nobody may act, however long one waits.

    A duplicate's own timeout_seconds must not limit its wait, since they are shorter than the lease that it waits for.
    """
    effects = tmp_path / "effects"
    command = [sys.executable, "-m", "tests.support.waited_child"]
    place = [shared_store.kind, shared_store.url, shared_store.prefix, str(effects), moment]
    owner = subprocess.Popen([*command, *place], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    assert owner.stdout.readline() == "owner\n"
    ship = guarded(shared_store, effects, lambda: write_down(effects), WAIT_SECONDS)
    ended: list[str | Exception] = []

    def wait() -> None:
        try:
            ended.append(ship("s", "o"))
        except Exception as error:
            ended.append(error)

    began = time.monotonic()
    waiter = threading.Thread(target=wait)
    waiter.start()
    time.sleep(0.2)
    owner.kill()
    owner.communicate()
    waiter.join(WAIT_SECONDS + 10)
    took = time.monotonic() - began
    [result] = ended
    assert isinstance(result, str), result
    assert effects.read_text().split() == [result]
    assert took < TIMEOUT_SECONDS + LEASE_MARGIN_MS / 1000 + 3
    assert ship("s", "o") == result
