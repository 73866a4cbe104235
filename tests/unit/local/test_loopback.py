"""What runs locally listens to this machine alone, has no real credentials, and enforces the roles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.cloud import LocalCloud
from local.sandbox_bank import __main__ as bank
from local.stack import CREDENTIALS, Ports

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_the_local_cloud_is_this_machines_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when it listens to others, is given somebody's credentials, or lets every role do everything."""
    started: dict[str, dict[str, str]] = {}
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody's")
    monkeypatch.setattr(Ports, "require_free", lambda _ports: None)
    cloud = LocalCloud(tmp_path, Ports(1, 2, 3))

    def spawn(name: str, _command: list[str], environment: Any, **_options: Any) -> None:
        started[name] = dict(environment)

    monkeypatch.setattr(cloud.processes, "spawn", spawn)
    monkeypatch.setattr(cloud, "_await", lambda _url, _name: None)
    cloud.start()
    assert started.keys() == {"cloud", "bank", "receiver"}
    assert (started["cloud"]["BIND_HOST"], started["cloud"]["AUTH"]) == ("127.0.0.1", "true")
    assert {name: started["cloud"][name] for name in CREDENTIALS} == CREDENTIALS
    assert cloud.endpoint_url.startswith("http://127.0.0.1:")


def test_the_bank_listens_to_this_machine_unless_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = []

    def taken(host: str, *_: Any) -> None:
        hosts.append(host)
        raise OSError

    monkeypatch.setattr("sys.argv", ["bank", "--books", str(tmp_path / "books")])
    monkeypatch.setattr(bank, "Bank", taken)
    assert bank.main() == 2
    assert hosts == ["127.0.0.1"]
