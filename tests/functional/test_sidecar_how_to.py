"""docs/how-to/sidecar-before-node.md as it stands there: a real Node process behind a real sidecar, on loopback."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from local.node import node
from tests.support.aws import REPOSITORY
from tests.support.pages import Block, Reader, clean_environment, sections

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PAGE = "how-to/sidecar-before-node.md"
START_SECONDS = 120.0


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_listening(port: int) -> None:
    """Return once somebody listens on the port."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"nobody listens on {port}")


@contextmanager
def running(command: Sequence[str], folder: Path, environment: dict[str, str], port: int) -> Iterator[None]:
    """Run a process of another terminal until the block is left."""
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    try:
        wait_until_listening(port)
        yield
    finally:
        process.kill()
        process.wait()


def test_a_node_service_is_asked_once_and_found_out_about(tmp_path: Path) -> None:
    """Fails when a duplicate is executed, or the order of the killed service is booked a second time."""
    upstream, port = free_port(), free_port()
    text = (REPOSITORY / "docs" / PAGE).read_text()
    files = re.findall(r'^```(?:js|toml) title="([\w.]+)"\n(.*?)^```$', text, re.MULTILINE | re.DOTALL)
    assert [name for name, _ in files] == ["shop.mjs", "sidecar.toml"]
    for name, content in files:
        (tmp_path / name).write_text(content.replace("9000", str(upstream)).replace("8080", str(port)))
    environment = {**clean_environment(tmp_path, Path(sys.prefix, "bin"))}
    environment["PYTHONPATH"] = str(REPOSITORY / "layers" / "payonce")
    environment["PATH"] = f"{Path(node()).parent}{os.pathsep}{environment['PATH']}"
    reader = Reader(tmp_path, environment)

    def follow(heading: str, blocks: slice = slice(None)) -> None:
        reader.follow(
            [
                Block(block.language, block.title, block.text.replace("8080", str(port)), block.printed)
                for block in sections(PAGE)[heading][blocks]
            ]
        )

    shop, sidecar = ["node", "shop.mjs"], ["payonce", "sidecar", "--config", "sidecar.toml"]
    with running(sidecar, tmp_path, environment, port):
        with running(shop, tmp_path, environment, upstream):
            follow("3. Send it twice")
            follow("4. Kill it in mid-request", slice(1))
        with running(shop, tmp_path, environment, upstream):
            follow("4. Kill it in mid-request", slice(1, None))
    assert len((tmp_path / "orders.jsonl").read_text().splitlines()) == 2
    assert len(reader.ran) == 3
