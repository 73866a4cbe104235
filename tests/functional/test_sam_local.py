"""What ``make sam-local`` expects of each event, compared with what the handlers answer where nothing is stored.

There the containers run against an empty stack; here the same handlers do, on moto. Its table once called five right
answers wrong, and nobody noticed before containers were started.
"""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.functional.conftest import load_handler
from tests.functional.test_handlers import EXPECTED
from tests.support.aws import REPOSITORY
from tests.support.events import Context

if TYPE_CHECKING:
    from payonce.wiring.application import Application

TABLE = REPOSITORY / "local" / "sam_local_expected.sh"
# These depend on what is beside the containers: the bank's magic tokens, the gateway's routes, a payment made before.
ELSEWHERE = ("create_payment/declined", "create_setup/declined", "idempotency_proxy/", "get_idempotency_key/")
CASES = [case for case in EXPECTED if not case.startswith(ELSEWHERE)]


def expected(case: str) -> str:
    """Return the pattern that the script's table has for the event."""
    script = 'source "$1"; expected "$2"'
    done = subprocess.run(["/bin/bash", "-c", script, "-", TABLE, case], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("case", CASES)
def test_the_table_of_sam_local_is_right(case: str, application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when the script would report a right answer as wrong, or pass a wrong one."""
    function = case.split("/")[0]
    event = json.loads((REPOSITORY / "events" / f"{case}.json").read_text())
    answer = load_handler(function, application, monkeypatch)(event, Context())
    assert re.search(expected(case), json.dumps(answer)), (answer["statusCode"], expected(case))
