---------------------------- MODULE PayonceSteps ----------------------------
(***************************************************************************)
(* What an observer of records and submissions sees of a step: the words   *)
(* of spec/steps.py.  TLC prints each combination that the specification   *)
(* allows once; tests/specification holds spec/steps.json to what it       *)
(* prints.                                                                 *)
(***************************************************************************)
EXTENDS Payonce

Effect == IF Gateway = "none" THEN "commit" ELSE "outside"
OwnersOf(fence) == IF fence = 0 THEN "none" ELSE IF fence = 1 THEN "first" ELSE "later"
Over(moment, clock) == IF moment < clock THEN "over" ELSE "running"

(* As audit_stream.entry_of names a change. *)
Event(b, a) ==
    IF a.st = "none" THEN "released"
    ELSE IF b.st = "none" THEN IF a.st = "INPROGRESS" /\ a.fence = 1 THEN "claimed" ELSE "unforeseen"
    ELSE IF a.gen # b.gen THEN "unforeseen"
    ELSE IF a.fence = b.fence + 1 /\ b.st \in Open /\ a.st = "INPROGRESS" THEN "taken_over"
    ELSE IF a.fence = b.fence /\ b.st = "INPROGRESS" /\ a.st = "IN_DOUBT" THEN "parked"
    ELSE IF a.fence = b.fence /\ b.st = "INPROGRESS" /\ a.st = "COMPLETED" THEN "completed"
    ELSE "unforeseen"

FenceChange(b, a) ==
    IF a.st = "none" THEN "gone" ELSE IF b.st = "none" THEN "one"
    ELSE IF a.fence = b.fence THEN "same" ELSE IF a.fence = b.fence + 1 THEN "next" ELSE "other"

ClaimChange(b, a) ==
    IF a.st = "none" THEN "gone" ELSE IF b.st = "none" THEN "new" ELSE IF a.gen = b.gen THEN "same" ELSE "other"

Actors == {o \in Owners : own'[o] # own[o]}
ByOperator == Actors = {}
Actor == CHOOSE o \in Actors : TRUE

LeaseWas(b, a, event) ==
    IF event = "taken_over" THEN Over(b.lease, ClockOf(Actor))
    ELSE IF ByOperator /\ b.st = "INPROGRESS" THEN Over(b.lease, 0) ELSE "-"

HorizonChange(b, a, event) ==
    IF event = "taken_over"
    THEN IF b.st = "INPROGRESS" THEN IF a.hor = Max(b.hor, b.lease) THEN "lease" ELSE "other"
         ELSE IF a.hor = b.hor THEN "kept" ELSE "other"
    ELSE IF event = "parked"
    THEN IF a.hor >= ClockOf(Actor) + Margin THEN "covers" ELSE IF a.hor = b.hor THEN "kept" ELSE "other"
    ELSE "-"

HasSent(event) == IF event = "parked" THEN IF own[Actor].sent THEN "yes" ELSE "no" ELSE "-"

ReferenceChange(b, a, event) ==
    IF event \notin {"claimed", "taken_over", "parked"} THEN "-"
    ELSE IF event = "claimed" THEN IF a.att = 1 /\ ~a.spent THEN "first" ELSE "other"
    ELSE IF a.att = b.att /\ a.spent = b.spent THEN "same"
    ELSE IF a.att = b.att /\ a.spent THEN "spent"
    ELSE IF a.att = b.att + 1 /\ b.spent /\ ~a.spent THEN "renewed"
    ELSE "other"

RecordStep(k) ==
    LET b == rec[k]
        a == rec'[k]
        event == Event(b, a) IN
    <<"STEP", Effect, event, IF ByOperator THEN "operator" ELSE "owner", b.st, a.st, OwnersOf(b.fence),
      FenceChange(b, a), ClaimChange(b, a), LeaseWas(b, a, event), HorizonChange(b, a, event), HasSent(event),
      ReferenceChange(b, a, event)>>

SendStep(o) ==
    LET w == own[o]
        r == rec[w.key] IN
    <<"STEP", Effect, "sent", "owner", r.st, r.st, OwnersOf(w.fence),
      IF r.fence = w.fence THEN "same" ELSE "other", IF r.gen = w.gen THEN "same" ELSE "other", "-", "-",
      IF w.fence = 1 THEN "first" ELSE IF w.asked THEN "asked" ELSE "not asked",
      IF r.att = w.att /\ ~r.spent THEN "same" ELSE "other">>

Sends == {o \in Owners : own[o].pc = "send" /\ own'[o].pc = "wait"}
Moves == {k \in Keys : Timeless(rec'[k]) # Timeless(rec[k])}
Seen == {RecordStep(k) : k \in Moves} \cup {SendStep(o) : o \in Sends}

ASSUME TLCSet(1, {})
PrintNew ==
    \A step \in Seen : step \in TLCGet(1) \/ (TLCSet(1, TLCGet(1) \cup {step}) /\ PrintT(step))
=============================================================================
