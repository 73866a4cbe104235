"""Each switch takes out a mechanism that is there, and brings it back."""

from __future__ import annotations

import pytest

from laboratory.ablations import SWITCHES, _switched


@pytest.mark.parametrize("name", sorted(SWITCHES))
def test_a_switch_takes_out_what_is_there_and_brings_it_back(name: str) -> None:
    """Fails when a switch names what is gone: its row of the table would never come, or say that nothing is lost."""
    before = [getattr(module, attribute) for module, attribute, _ in SWITCHES[name]]
    with _switched(name):
        for (module, attribute, value), old in zip(SWITCHES[name], before, strict=True):
            assert getattr(module, attribute) is value
            assert value != old
    assert [getattr(module, attribute) for module, attribute, _ in SWITCHES[name]] == before
