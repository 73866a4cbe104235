"""The specification without each of its mechanisms, one at a time: TLC has to find what each is there for.

A mutant is the specification with one piece of text replaced. The piece has to be there exactly once, so that a mutant
can't outlive what it changes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from spec.models import FORGETS, ONE_KEY, TWO, model
from spec.tlc import FOLDER, check

if TYPE_CHECKING:
    from spec.models import Model
    from spec.tlc import Checked


@dataclass(frozen=True, slots=True)
class Mutant:
    """``mechanism``: what is taken out. ``violates``: the property that no longer holds, "" when all do.

    ``was`` and ``becomes``: the text in ``Payonce.tla``. Without it, ``model`` finds it.
    """

    mechanism: str
    violates: str
    was: str
    becomes: str
    model: Model

    def text(self) -> str:
        """Return the changed module. Raises ``ValueError`` when what it changes is not there exactly once."""
        original = (FOLDER / "Payonce.tla").read_text("utf-8")
        if original.count(self.was) != 1:
            raise ValueError(f"{self.mechanism}: {self.was!r} is {original.count(self.was)} times in Payonce.tla")
        return original.replace(self.was, self.becomes)

    def check(self) -> Checked:
        """Check the mutant."""
        return check(replace(self.model, only=self.violates), changed={"Payonce.tla": self.text()})


IGNORES = model("1 key", "ignores", Keys=ONE_KEY)
LATE = model("1 key", "late", Keys=ONE_KEY)
LATE_TWO = model("1 key, 2 owners", "late", Keys=ONE_KEY, Owners=TWO)
LATE_ONE_FAULT = model("1 key, 2 owners, 1 fault", "late", Keys=ONE_KEY, Owners=TWO, MaxFaults=1)
HONOURS = model("1 key, 2 owners", "honours", Keys=ONE_KEY, Owners=TWO)
REMEMBERS = model("1 key, 2 owners", "remembers", Keys=ONE_KEY, Owners=TWO)
BODIES = model("1 key, 2 owners, 2 bodies", "ignores", Keys=ONE_KEY, Owners=TWO, Bodies='{"x", "y"}', MaxFaults=1)
AGING = model("1 key, 2 owners, nothing sent after 2 ticks", "late", Keys=ONE_KEY, Owners=TWO, Young=2)
FAIR = replace(model("1 key, 2 owners, 1 fault", "late", Keys=ONE_KEY, Owners=TWO, MaxFaults=1), fair=True)
REMEMBERS_FEW = model(
    "1 key, 2 owners, 1 fault, 4 owners suffice", "remembers", Keys=ONE_KEY, Owners=TWO, MaxFaults=1, MaxOwners=4
)

MUTANTS = (
    Mutant(
        "claim: the put requires that nothing is stored",
        "OneExecution",
        'rec[k].st = "none"                             \\* the put\'s condition',
        "TRUE",
        LATE_ONE_FAULT,
    ),
    Mutant(
        "every write of an owner requires its fence",
        "OnlyOwnersWrite",
        "/\\ r.fence = own[o].fence                         \\* fencing token",
        "/\\ TRUE",
        IGNORES,
    ),
    Mutant(
        "every write of an owner requires its claim id",
        "OnlyOwnersWrite",
        "/\\ r.gen = own[o].gen                             \\* claim_id",
        "/\\ TRUE",
        IGNORES,
    ),
    Mutant(
        "takeover: requires what was observed",
        "CompletedIsFinal",
        "IF r.gen = w.gen /\\ r.fence = w.fence /\\ r.st = w.st     \\* as observed",
        'IF r.st # "none"',
        IGNORES,
    ),
    Mutant(
        "takeover: only when the lease is over",
        "SendersOwn",
        'ELSE r.st = "IN_DOUBT" /\\ b = Recovery /\\ Fault',
        "ELSE b = Recovery /\\ Fault",
        LATE_ONE_FAULT,
    ),
    Mutant(
        "claim: the lease has a margin for clocks",
        "SendersOwn",
        "!.lease = ClockOf(o) + left + Margin]]",
        "!.lease = ClockOf(o) + left]]",
        LATE_ONE_FAULT,
    ),
    Mutant(
        "takeover: the lease has a margin for clocks",
        "SendersOwn",
        "!.lease = ClockOf(o) + w.dl + Margin]]",
        "!.lease = ClockOf(o) + w.dl]]",
        LATE,
    ),
    Mutant(
        "takeover: the fence grows",
        "OnlyOwnersWrite",
        '!.fence = w.fence + 1, !.st = "INPROGRESS", !.hor = w.hor,',
        '!.fence = w.fence, !.st = "INPROGRESS", !.hor = w.hor,',
        LATE_ONE_FAULT,
    ),
    Mutant(
        "takeover: the fingerprint is the claim's",
        "OneBody",
        "/\\ b = Recovery \\/ b = r.body",
        "/\\ TRUE",
        BODIES,
    ),
    Mutant(
        "takeover: the reference is the claim's",
        "OneExecution",
        "!.st = r.st, !.att = r.att,",
        "!.st = r.st, !.att = r.att + 1,",
        HONOURS,
    ),
    Mutant(
        "a new owner asks before it sends",
        "OneExecution",
        'IF Gateway # "none" THEN "ask" ELSE IF w.body',
        'IF Gateway # "none" THEN "send" ELSE IF w.body',
        IGNORES,
    ),
    Mutant(
        "an owner whose time is over sends nothing",
        "OneExecution",
        "/\\ InTime(o)                                      \\* an owner whose time is over sends nothing",
        "/\\ TRUE",
        LATE_TWO,
    ),
    Mutant(
        'a "not found" is final only after the horizon and the gateway\'s own time',
        "OneExecution",
        "Final(o) == ~NeverFinal /\\ own[o].hor + FinalAfter <= ClockOf(o)",
        "Final(o) == ~NeverFinal",
        LATE_TWO,
    ),
    Mutant(
        "takeover: a cut-off owner's lease counts for the horizon",
        "OneExecution",
        '!.hor = IF r.st = "INPROGRESS" THEN Max(r.hor, r.lease) ELSE r.hor]]',
        "!.hor = r.hor]]",
        LATE_TWO,
    ),
    Mutant(
        "park: an owner that has sent moves the horizon",
        "OneExecution",
        "!.hor = IF w.sent THEN Max(w.hor, ClockOf(o) + Margin) ELSE w.hor]]",
        "!.hor = w.hor]]",
        LATE_TWO,
    ),
    Mutant(
        "park: the horizon has the margin for clocks",
        "OneExecution",
        "!.hor = IF w.sent THEN Max(w.hor, ClockOf(o) + Margin) ELSE w.hor]]",
        "!.hor = IF w.sent THEN Max(w.hor, ClockOf(o)) ELSE w.hor]]",
        LATE_TWO,
    ),
    Mutant(
        "park: earlier owners' horizon is kept",
        "OneExecution",
        "!.hor = IF w.sent THEN Max(w.hor, ClockOf(o) + Margin) ELSE w.hor]]",
        "!.hor = IF w.sent THEN ClockOf(o) + Margin ELSE Low]]",
        LATE_TWO,
    ),
    Mutant(
        "only a gateway that honours keys is trusted to remember them",
        "OneExecution",
        "KeyIsRemembered(o) == HonoursKeys /\\",
        "KeyIsRemembered(o) ==",
        LATE_TWO,
    ),
    Mutant(
        "nothing is sent again when the gateway may have forgotten its key",
        "OneExecution",
        "AgeOf(o) < Retention - KeyMargin)",
        "AgeOf(o) < Retention)",
        FORGETS,
    ),
    Mutant(
        "a new reference only after a final not-found for the old one",
        "OneExecution",
        '    ELSE own\' = [own EXCEPT ![o].pc = "park", ![o].next = "settled"]\n',
        "    ELSE IF own[o].spent /\\ own[o].att < MaxAttempts\n"
        '         THEN own\' = [own EXCEPT ![o].pc = "park", ![o].att = @ + 1, ![o].spent = FALSE, ![o].next = "now"]\n'
        '    ELSE own\' = [own EXCEPT ![o].pc = "park", ![o].next = "settled"]\n',
        REMEMBERS,
    ),
    Mutant(
        "a new reference is stored before it is sent",
        "StoredBeforeSent",
        '[w EXCEPT !.pc = "park", !.att = w.att + 1, !.spent = FALSE, !.next = "now"]',
        '[w EXCEPT !.pc = "send", !.att = w.att + 1, !.spent = FALSE, !.asked = TRUE]',
        REMEMBERS,
    ),
    Mutant(
        "a reference whose failure is remembered is never sent again",
        "FewOwners",
        "IF IsYoung(o) /\\ ~w.spent THEN",
        "IF IsYoung(o) THEN",
        REMEMBERS_FEW,
    ),
    Mutant(
        "an end as never executed only after a final not-found",
        "ResultsAreTrue",
        '    ELSE own\' = [own EXCEPT ![o].pc = "park", ![o].next = "settled"]\n',
        '    ELSE IF ~IsYoung(o) THEN own\' = [own EXCEPT ![o].pc = "commit", ![o].res = "failed"]\n'
        '    ELSE own\' = [own EXCEPT ![o].pc = "park", ![o].next = "settled"]\n',
        AGING,
    ),
    Mutant(
        "an unknown outcome is not taken for never sent",
        "FreeOnlyWhenCertain",
        'Becomes(o, IF w.fence = 1 THEN "look" ELSE "park")',
        'Becomes(o, "release")',
        LATE_ONE_FAULT,
    ),
    Mutant(
        '"never sent" by a later owner does not free the key',
        "FreeOnlyWhenCertain",
        'IF own[o].fence = 1 THEN "release" ELSE "park", ![o].sent = own[o].fence > 1]',
        '"release"]',
        HONOURS,
    ),
    Mutant(
        "an operator waits until the lease is over",
        "FreeOnlyWhenCertain",
        '/\\ r.st = "INPROGRESS" => r.lease < 0             \\* its owner may be at work\n'
        "    /\\ ~NeverFinal /\\ h + FinalAfter <= 0 ",
        "/\\ r.hor + FinalAfter <= 0 ",
        LATE_ONE_FAULT,
    ),
    Mutant(
        "an operator looks at the gateway",
        "FreeOnlyWhenCertain",
        "/\\ \\A e \\in done[k] : e.gen = r.gen => Hidden(e)  \\* the finding\n",
        "",
        IGNORES,
    ),
    Mutant(
        "an operator's look counts when the gateway's not-found is final",
        "FreeOnlyWhenCertain",
        "/\\ ~NeverFinal /\\ h + FinalAfter <= 0             \\* the operator waits for it\n",
        "",
        LATE_TWO,
    ),
    Mutant(
        "recovery takes over what no client comes back for",
        "Concluded",
        "        /\\ SF_vars(\\E o \\in Owners : Observe(o, k, Recovery))\n",
        "",
        FAIR,
    ),
    # The rest is not needed, by this specification; docs/specification.md says why it is there.
    Mutant(
        "every write of an owner requires that the claim is open",
        "",
        '/\\ r.st = "INPROGRESS"                            \\* status',
        "/\\ TRUE",
        LATE_TWO,
    ),
    Mutant(
        "a new owner asks about earlier references, too",
        "",
        "e.gen = own[o].gen /\\ e.att <= own[o].att}",
        "e.gen = own[o].gen /\\ e.att = own[o].att}",
        REMEMBERS,
    ),
)
