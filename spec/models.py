"""The models that TLC checks: ``Payonce.cfg`` with other constants, for each kind of gateway."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

BASE = Path(__file__).with_name("Payonce.cfg")
THREE, TWO = "{o1, o2, o3}", "{o1, o2}"
ONE_KEY, TWO_KEYS = "{k1}", "{k1, k2}"
# The kinds of gateways as the simulation has them (simulation/gateway_books.py), and "none" for work that is all in
# the commit. A "not found" of "late" and "remembers" is final two ticks after the last moment of sending: with one
# tick no submission could be executed after a tick.
GATEWAYS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "ignores": {"Gateway": '"ignores"', "FinalAfter": "0"},
        "late": {"Gateway": '"late"', "FinalAfter": "2"},
        "honours": {"Gateway": '"honours"', "FinalAfter": "0"},
        "remembers": {"Gateway": '"remembers"', "FinalAfter": "2"},
        "none": {"Gateway": '"none"', "FinalAfter": "0"},
    }
)


TEMPORAL = frozenset({"CompletedIsFinal", "OnlyOwnersWrite", "Concluded"})


@dataclass(frozen=True, slots=True)
class Model:
    """A model. ``fair``: checks that every claim is concluded, too. ``steps``: prints the steps that it allows.

    ``bounded``: the number of owners is a bound of the search and not a property, because a doubt may last for ever.
    ``only``: the one property to check, "" for all.
    """

    name: str
    constants: Mapping[str, str] = field(default_factory=dict)
    fair: bool = False
    steps: bool = False
    bounded: bool = False
    only: str = ""

    @property
    def module(self) -> str:
        """The module that TLC is given."""
        return "PayonceSteps" if self.steps else "Payonce"

    def configuration(self) -> str:
        """Return TLC's configuration. Raises ``KeyError`` for a constant that ``Payonce.cfg`` does not have."""
        text = BASE.read_text("utf-8")
        for name, value in self.constants.items():
            text, count = re.subn(rf"(?m)^    {name} = .*$", f"    {name} = {value}", text)
            if count != 1:
                raise KeyError(name)
        if self.only:
            kind = "PROPERTIES" if self.only in TEMPORAL else "INVARIANTS"
            text = text[: text.index("INVARIANTS")] + f"{kind}\n    {self.only}\n"
        if self.fair:
            text = text.replace("SPECIFICATION Spec", "SPECIFICATION FairSpec")
            text += "" if self.only else "    Concluded\n"
        else:
            text += "SYMMETRY Symmetry\n"  # TLC's liveness check does not allow it
        if self.bounded:
            text = text.replace("    FewOwners\n", "") + "CONSTRAINT FewOwners\n"
        if self.steps:
            text += "ACTION_CONSTRAINT PrintNew\n"
        return text


def model(name: str, gateway: str, **constants: object) -> Model:
    """Return a model of a kind of gateway."""
    given = {constant: str(value) for constant, value in constants.items()}
    return Model(f"{gateway}, {name}", {**GATEWAYS[gateway], **given})


_ONE = [model("1 key, 3 owners, 2 faults", gateway, Keys=ONE_KEY) for gateway in GATEWAYS]
_TWO = [model("2 keys, 3 owners, 1 fault", gateway, MaxFaults=1) for gateway in GATEWAYS]
_BODIES = replace(
    model("1 key, 3 owners, 2 bodies, 1 fault", "ignores", Keys=ONE_KEY, Bodies='{"x", "y"}', MaxFaults=1)
)
_TICK = model("1 key, 2 owners, 2 faults, a deadline of a tick", "late", Keys=ONE_KEY, Owners=TWO, Time=1)
_AGING = model("1 key, 2 owners, 2 faults, nothing sent after 2 ticks", "late", Keys=ONE_KEY, Owners=TWO, Young=2)
# A gateway that honours keys for some ticks and never says "not found" for good: a doubt may last for ever.
FORGETS = replace(
    model(
        "1 key, 2 owners, 2 faults, keys kept for 4 ticks",
        "honours",
        Keys=ONE_KEY,
        Owners=TWO,
        Retention=4,
        KeyMargin=2,
    ),
    bounded=True,
)
_FAIR = [
    replace(model("2 keys, 2 owners, 1 fault, liveness", gateway, Owners=TWO, MaxFaults=1), fair=True)
    for gateway in GATEWAYS
]
FULL = (*_ONE, *_TWO, _BODIES, _TICK, _AGING, FORGETS, *_FAIR)
# What make test checks. Every step that the larger models allow is among theirs: the longest way to one is that of an
# operator who releases the claim of a later owner, after two crashes.
STEP_MODELS = tuple(
    replace(
        model(name, gateway, Keys=ONE_KEY, Owners=TWO, MaxFaults=faults, MaxClaims=claims),
        steps=True,
    )
    for name, gateway, faults, claims in (
        ("1 key, 2 owners, 3 faults, 1 claim", "ignores", 3, 1),
        ("1 key, 2 owners, 1 fault", "late", 1, 2),
        ("1 key, 2 owners, 1 fault", "honours", 1, 2),
        ("1 key, 2 owners, 2 faults", "remembers", 2, 2),
        ("1 key, 2 owners, 3 faults, 1 claim", "none", 3, 1),
    )
)
