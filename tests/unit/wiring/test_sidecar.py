"""The wiring of the sidecar, as far as it needs no server."""

from __future__ import annotations

import sys

import pytest

from payonce.domain.errors import PackageMissing
from payonce.wiring.sidecar import sidecar_of
from tests.support.proxy import configuration, parsed


@pytest.mark.parametrize("package", ["hiredis", "redis"])
def test_a_missing_package_is_named_with_where_it_is(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails (a traceback) when the package's absence is no error of the installation."""
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "payonce.stores.redis_pipeline", raising=False)
    config = parsed(configuration("http://127.0.0.1:1", store={"kind": "redis", "url": "redis://127.0.0.1:1"}))
    with pytest.raises(PackageMissing, match=rf"{package} is not installed.*payonce\[sidecar\]"):
        sidecar_of(config, {})
