"""A script's name, under which servers keep it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from payonce.stores.redis_scripts import Script

if TYPE_CHECKING:
    import pytest


def test_a_script_has_the_name_that_servers_give_it() -> None:
    """The digest of https://redis.io/docs/latest/commands/evalsha. Fails when no server ever knows a script, so that
    each transition sends it whole.
    """
    assert Script("return 1").sha1 == "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"


def test_a_script_is_named_where_sha_1_is_refused_for_security(monkeypatch: pytest.MonkeyPatch) -> None:
    """As by an OpenSSL in FIPS mode. Fails when the package can't be imported there."""
    allowed = hashlib.sha1

    def restricted(data: bytes, *, usedforsecurity: bool = True) -> Any:
        if usedforsecurity:
            raise ValueError("disabled for FIPS")
        return allowed(data, usedforsecurity=False)

    monkeypatch.setattr(hashlib, "sha1", restricted)
    assert len(Script("return 2").sha1) == 40
