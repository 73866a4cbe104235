"""docs/proxy.md says what the code does: its example is read, and no setting is left out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from payonce.proxy.config import Ask, KeptRequest, Responses, Resubmit, Route, Upstream
from payonce.proxy.config_load import load_file
from payonce.proxy.config_process import Overflow, Server, Store, Strict
from tests.support.aws import REPOSITORY

if TYPE_CHECKING:
    from pydantic import BaseModel

TEXT = (REPOSITORY / "docs" / "proxy.md").read_text()


def test_the_example_is_a_configuration() -> None:
    config = load_file(REPOSITORY / "docs" / "proxy.toml", {})
    route, _ = config.find("POST", "/orders")
    assert route is not None
    assert (route.name, route.unknown.policy) == ("create_order", "ask")
    assert config.find("DELETE", "/orders/1")[0] is not None


@pytest.mark.parametrize("model", [Upstream, Route, Responses, Overflow, Store, Server, Ask, Resubmit, KeptRequest])
def test_every_setting_is_explained(model: type[BaseModel]) -> None:
    """Fails when a setting is added without a word in the reference."""
    assert issubclass(model, Strict)
    for name in model.model_fields:
        assert re.search(rf"\b{name}\b", TEXT), f"{model.__name__}.{name}"
