"""docs/tutorial.md on the deployed stack: its programs and commands from section 3 on, and the webhook that they cause.

``tests/functional/test_tutorial.py`` follows every section, on a stack on loopback.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.aws import REPOSITORY
from tests.support.pages import Reader, clean_environment, sections

if TYPE_CHECKING:
    from local.stack import Stack

PATIENCE_SECONDS = 300  # the local cloud starts an environment for each function that it has not used yet
SECTIONS = sections("tutorial.md")
LISTEN = ("payonce", "webhooks", "listen", "--register", "--count", "1", "--type", "payment.*", "--port", "0")


def test_the_tutorial_on_the_local_cloud(stack: Stack, tmp_path: Path) -> None:
    """Fails when the page's payment, confirmation, kill or webhook does not end as the page says."""
    port = stack.endpoint_url.rpartition(":")[2]
    environment = {
        **clean_environment(tmp_path, Path(sys.prefix, "bin")),
        "PYTHONPATH": str(REPOSITORY / "layers" / "payonce"),
        "PAYONCE_CLOUD_PORT": port,
    }
    reader = Reader(tmp_path, environment)
    follow = [blocks for heading, blocks in SECTIONS.items() if heading[:2] in {"3.", "4.", "5."}]
    assert len(follow) == 3
    for blocks in follow:
        reader.follow(blocks)
    assert len((tmp_path / "carrier.txt").read_text().split()) == 1
    api_key = reader.run('printf %s "$PAYONCE_API_KEY"')
    second_terminal = {**environment, "PAYONCE_STACK": "payonce-local", "PAYONCE_API_KEY": api_key}
    with subprocess.Popen(
        LISTEN, cwd=tmp_path, env=second_terminal, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as listener:
        ends = threading.Timer(PATIENCE_SECONDS, listener.terminate)
        ends.start()
        try:
            assert listener.stderr is not None
            while "listening on " not in (line := listener.stderr.readline()):
                assert line, "the listener ended"
            reader.follow(SECTIONS["6. A webhook"])
            printed, said = listener.communicate(timeout=PATIENCE_SECONDS)
        finally:
            ends.cancel()
            listener.terminate()
    assert "payment.captured" in printed, said
    assert "verified" in printed
