"""The local stack's ports, when other programs have them."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from dataclasses import astuple
from typing import TYPE_CHECKING

import pytest

from local.cloud import LocalCloud
from local.stack import PORT_VARIABLES, CannotStart, Ports

if TYPE_CHECKING:
    from pathlib import Path


def listening(stack: ExitStack, address: str) -> int:
    listener = stack.enter_context(socket.socket())
    listener.bind((address, 0))
    listener.listen()
    port: int = listener.getsockname()[1]
    return port


@pytest.mark.parametrize("taken", [(0,), (1,), (2,), (0, 2), (0, 1, 2)])
def test_the_ports_that_are_proposed_can_be_used_as_they_are(
    taken: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when taken ports are named one at a time, or when what is proposed forgets the other ports that were set.

    As `PAYONCE_BANK_PORT=51221 make ...` did after `PAYONCE_CLOUD_PORT=5566 make up`: it went back to port 4566.
    """
    with ExitStack() as stack:
        numbers = [listening(stack, "127.0.0.1") for _ in PORT_VARIABLES]
        for index in {0, 1, 2} - set(taken):
            with ExitStack() as closed:
                numbers[index] = listening(closed, "127.0.0.1")
        with pytest.raises(CannotStart) as refused:
            LocalCloud(tmp_path, Ports(*numbers)).start()
        told = str(refused.value)
        for index, variable in enumerate(PORT_VARIABLES):
            assert (f"Port {numbers[index]} ({variable})" in told) is (index in taken)
        exports = told.splitlines()[-1].removeprefix("export ").split()
        for variable, _, port in (each.partition("=") for each in exports):
            monkeypatch.setenv(variable, port)
        proposed = Ports.from_environment()
        proposed.require_free()
        kept = {0, 1, 2} - set(taken)
        assert [astuple(proposed)[index] for index in kept] == [numbers[index] for index in kept]


def test_a_program_on_every_address_has_the_port_too(tmp_path: Path) -> None:
    """Fails when only what listens on loopback counts, as `python -m http.server 4566` does not."""
    with ExitStack() as stack:
        taken = listening(stack, "0.0.0.0")  # noqa: S104 - it answers nobody
        with pytest.raises(CannotStart, match=str(taken)):
            LocalCloud(tmp_path, Ports(taken, 1024, 1025)).start()
