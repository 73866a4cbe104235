"""TLC checks the specification's small models, and finds each mutant of it. ``make spec`` checks the large ones."""

from __future__ import annotations

from dataclasses import replace

import pytest

from spec.models import ONE_KEY, STEP_MODELS, TWO, TWO_KEYS, Model, model
from spec.mutants import MUTANTS, Mutant
from spec.steps import printed
from spec.tlc import check


@pytest.mark.parametrize("kind", STEP_MODELS, ids=lambda kind: kind.name)
def test_a_kind_of_gateway_holds_and_allows_the_steps_that_traces_are_held_to(kind: Model) -> None:
    """Fails when ``steps.json`` is not what TLC prints: write it anew with ``python -m spec --steps``."""
    checked = check(kind)
    assert checked.violated == "", checked.trace
    assert checked.steps == printed()[kind.name]


SMALL = [
    model("2 keys, 2 owners, 1 fault", "late", Owners=TWO, Keys=TWO_KEYS, MaxFaults=1),
    replace(model("liveness", "late", Owners=TWO, Keys=ONE_KEY, MaxFaults=1), fair=True),
    replace(model("liveness", "remembers", Owners=TWO, Keys=ONE_KEY, MaxFaults=1), fair=True),
]


@pytest.mark.parametrize("small", SMALL, ids=lambda small: small.name)
def test_a_small_model_holds(small: Model) -> None:
    checked = check(small)
    assert checked.violated == "", checked.trace
    assert checked.distinct > 1_000  # it was searched


@pytest.mark.parametrize(
    "mutant", [mutant for mutant in MUTANTS if mutant.violates], ids=lambda mutant: mutant.mechanism
)
def test_a_mechanism_is_needed(mutant: Mutant) -> None:
    checked = mutant.check()
    assert checked.violated == mutant.violates
    assert checked.trace


def test_a_mutant_whose_text_is_gone_is_an_error() -> None:
    with pytest.raises(ValueError, match="0 times"):
        replace(MUTANTS[0], was="what was rewritten").text()
