------------------------------ MODULE Payonce ------------------------------
(***************************************************************************)
(* The protocol by which payonce executes a keyed request at most once:    *)
(* claim, lease, takeover, ask, submit, park, commit, release.  It says    *)
(* what layers/payonce/payonce does, and names the place beside each       *)
(* action.  docs/specification.md says what it leaves out.                 *)
(*                                                                         *)
(* An owner is one execution: a request of a client, or one claim of a     *)
(* recovery run.  Every action is one call of a port, so anything may      *)
(* happen between two calls.                                               *)
(*                                                                         *)
(* Time is discrete.  Every moment is stored relative to now (0), counts   *)
(* down, and stops at a floor below which no comparison distinguishes it:  *)
(* the state space is finite, and time never ends.  The clock of owner o   *)
(* shows now + skew[o].                                                    *)
(***************************************************************************)
EXTENDS Integers, FiniteSets, TLC

CONSTANTS
    Owners,         \* executions that may run at the same time
    Keys,           \* idempotency keys
    Bodies,         \* request bodies that clients send with a key
    Gateway,        \* "honours", "ignores", "late", "remembers", or "none": the whole effect is in the commit
    FinalAfter,     \* a "not found" is final this long after the last moment of sending; unused where it never is
    Time,           \* an execution's deadline: it sends nothing later than this after it began
    Margin,         \* LEASE_MARGIN_MS; the clocks of two owners differ by this much at most
    Retention,      \* a gateway's key is remembered this long after the execution; 0: for ever
    KeyMargin,      \* KEY_RETENTION_MARGIN_MS
    Young,          \* MAX_RESUBMIT_AGE_MS: nothing is sent when the claim is older; 0: no limit
    MaxAttempts,    \* MAX_SUBMISSIONS: references of one claim
    MaxClaims,      \* claims of a key, counting those after a release
    MaxOwners,      \* no claim may need more owners than this to be concluded
    MaxFaults       \* crashes, freezes, lost calls, kept failures and operators' releases in one behaviour

VARIABLES
    rec,            \* the idempotency record of a key (idempotency/records.py)
    own,            \* what each execution knows and does next
    net,            \* submissions of a key on their way to the gateway
    done,           \* the gateway's books: executions for a key
    kept,           \* references of a key under which the gateway remembers a failure
    skew,           \* how far each owner's clock is ahead; it never changes
    faults          \* how many more faults may happen

vars == <<rec, own, net, done, kept, skew, faults>>

----------------------------------------------------------------------------
Max(a, b) == IF a > b THEN a ELSE b

Recovery == "recovery"                                \* the role of an owner without a client
HonoursKeys == Gateway \in {"honours", "remembers"}   \* key_retention_seconds > 0
KeepsFailures == Gateway = "remembers"                \* as Stripe keeps a 500 (ADR 20)
NeverFinal == Gateway = "honours"                     \* lookup_authoritative_after_seconds is None
Aging == Retention + Young > 0

Low == -(FinalAfter + Margin + 1)                     \* the floor of lease and horizon
Oldest == -(Max(Retention, Young) + 1)                \* the floor of a claim's birth
Travel == IF NeverFinal THEN KeyMargin - Margin ELSE FinalAfter - 1
                                                      \* the ticks that a submission may be under way
Down(moment, floor) == IF moment > floor THEN moment - 1 ELSE floor

Vacant(gen) ==
    [st |-> "none", gen |-> gen, fence |-> 0, body |-> "", lease |-> Low, hor |-> Low, born |-> 0,
     att |-> 0, spent |-> FALSE, res |-> ""]

Idle ==
    [pc |-> "idle", key |-> "", body |-> "", gen |-> 0, fence |-> 0, st |-> "", att |-> 0, spent |-> FALSE,
     hor |-> Low, born |-> 0, dl |-> -1, frozen |-> FALSE, sent |-> FALSE, asked |-> FALSE, next |-> "", res |-> ""]

Open == {"INPROGRESS", "IN_DOUBT"}

Awake(o, step) == own[o].pc = step /\ ~own[o].frozen
InTime(o) == own[o].dl >= 0
ClockOf(o) == skew[o]                                 \* its reading, relative to now

(* A write requires claim_id, fence and status as they were read: DatabaseIdempotencyStore._change, release. *)
Mine(o) ==
    LET r == rec[own[o].key] IN
    /\ r.gen = own[o].gen                             \* claim_id
    /\ r.fence = own[o].fence                         \* fencing token
    /\ r.st = "INPROGRESS"                            \* status

Fault == faults > 0 /\ faults' = faults - 1

End(o) == own' = [own EXCEPT ![o] = Idle]
Becomes(o, step) == own' = [own EXCEPT ![o].pc = step]

----------------------------------------------------------------------------
(* CLAIM: one conditional put (FencedPersistence._put_record, DatabaseIdempotencyStore.claim).  An execution that was *)
(* held up on its way to the store claims when its own time is over: late = TRUE.                                     *)
Claim(o, k, b, late) ==
    /\ own[o].pc = "idle"
    /\ rec[k].st = "none"                             \* the put's condition
    /\ rec[k].gen < MaxClaims
    /\ IF late THEN Fault ELSE UNCHANGED faults
    /\ LET left == IF late THEN -1 ELSE Time
           born == IF Aging THEN ClockOf(o) ELSE 0 IN
       /\ rec' = [rec EXCEPT ![k] = [Vacant(@.gen + 1) EXCEPT
                    !.st = "INPROGRESS", !.fence = 1, !.body = b, !.born = born, !.att = 1,
                    !.lease = ClockOf(o) + left + Margin]]      \* lease margin: engine._new_record
       /\ own' = [own EXCEPT ![o] = [Idle EXCEPT
                    !.pc = IF Gateway = "none" THEN "commit" ELSE "send", !.res = IF Gateway = "none" THEN "done" ELSE "",
                    !.key = k, !.body = b, !.gen = rec[k].gen + 1, !.fence = 1, !.att = 1, !.born = born, !.dl = left]]
    /\ UNCHANGED <<net, done, kept, skew>>

(* A client's retry meets an open claim, or recovery finds it in the index, and reads it.                             *)
Observe(o, k, b) ==
    LET r == rec[k] IN
    /\ own[o].pc = "idle"
    /\ r.st \in Open
    /\ IF r.lease < ClockOf(o) THEN UNCHANGED faults  \* lease over: _may_take_over, engine.recover
       ELSE r.st = "IN_DOUBT" /\ b = Recovery /\ Fault \* or news of a doubt; counted among the faults, so that it is not without end
    /\ b = Recovery \/ b = r.body                     \* fingerprint check: another body is answered with 422
    /\ own' = [own EXCEPT ![o] = [Idle EXCEPT
                 !.pc = "take", !.key = k, !.body = b, !.gen = r.gen, !.fence = r.fence, !.st = r.st, !.att = r.att,
                 !.spent = r.spent, !.born = r.born, !.dl = Time,
                 \* A cut-off owner may have sent until its lease ended; one that parked had stopped: transitions.taken_over
                 !.hor = IF r.st = "INPROGRESS" THEN Max(r.hor, r.lease) ELSE r.hor]]
    /\ UNCHANGED <<rec, net, done, kept, skew>>

(* TAKEOVER: conditional on what was observed; the fence grows by one (DatabaseIdempotencyStore.take_over).           *)
TakeOver(o) ==
    LET w == own[o]
        r == rec[w.key] IN
    /\ Awake(o, "take")
    /\ IF r.gen = w.gen /\ r.fence = w.fence /\ r.st = w.st     \* as observed
       THEN /\ rec' = [rec EXCEPT ![w.key] = [@ EXCEPT
                         !.fence = w.fence + 1, !.st = "INPROGRESS", !.hor = w.hor,
                         !.lease = ClockOf(o) + w.dl + Margin]]  \* lease margin: Ownership.take_over
            /\ own' = [own EXCEPT ![o] = [w EXCEPT
                         !.fence = w.fence + 1, !.st = "",
                         !.pc = IF Gateway # "none" THEN "ask" ELSE IF w.body = Recovery THEN "release" ELSE "commit",
                         !.res = IF Gateway = "none" THEN "done" ELSE ""]]
       ELSE End(o) /\ UNCHANGED rec                             \* LeaseLost
    /\ UNCHANGED <<net, done, kept, skew, faults>>

----------------------------------------------------------------------------
(* SUBMIT (GatewayWork._submit).  What is sent carries the reference <<gen, att>>, which is stored in the claim.      *)
Sent(o) == [gen |-> own[o].gen, att |-> own[o].att, fence |-> own[o].fence, ttl |-> Travel]
UnderWay(o) == \E m \in net[own[o].key] : m.gen = own[o].gen /\ m.fence = own[o].fence

Send(o) ==
    /\ Awake(o, "send")
    /\ InTime(o)                                      \* an owner whose time is over sends nothing
    /\ net' = [net EXCEPT ![own[o].key] = @ \cup {Sent(o)}]
    /\ own' = [own EXCEPT ![o].pc = "wait", ![o].sent = TRUE]
    /\ UNCHANGED <<rec, done, kept, skew, faults>>

(* "Never sent" is true of this submission.  For the first owner nothing has happened at all.                         *)
NeverSent(o) ==
    /\ Awake(o, "send")
    /\ IF InTime(o) THEN Fault ELSE UNCHANGED faults  \* no connection
    /\ own' = [own EXCEPT ![o].pc = IF own[o].fence = 1 THEN "release" ELSE "park", ![o].sent = own[o].fence > 1]
    /\ UNCHANGED <<rec, net, done, kept, skew>>

Reference(x) == <<x.gen, x.att>>
Executed(k, gen, att) == \E e \in done[k] : e.gen = gen /\ e.att = att
Remembered(k, m) == \E e \in done[k] : Reference(e) = Reference(m) /\ (Retention = 0 \/ e.age < Retention)

(* The gateway executes what arrives, whether or not anybody waits for the answer.                                    *)
Arrives(k, m) ==
    /\ net' = [net EXCEPT ![k] = @ \ {m}]
    /\ done' = IF Reference(m) \in kept[k] \/ (HonoursKeys /\ Remembered(k, m))
               THEN done                              \* answered from what the key remembers
               ELSE [done EXCEPT ![k] = @ \cup {[gen |-> m.gen, att |-> m.att, fence |-> m.fence, ttl |-> m.ttl, age |-> 0]}]

Deliver(k, m) == Arrives(k, m) /\ UNCHANGED <<rec, own, kept, skew, faults>>

(* It fails and the key remembers that, before it was executed or after.                                              *)
FailAndKeep(k, m, executed) ==
    /\ KeepsFailures
    /\ Reference(m) \notin kept[k]
    /\ Fault
    /\ kept' = [kept EXCEPT ![k] = @ \cup {Reference(m)}]
    /\ IF executed THEN Arrives(k, m) ELSE net' = [net EXCEPT ![k] = @ \ {m}] /\ UNCHANGED done
    /\ UNCHANGED <<rec, own, skew>>

Lose(k, m) ==
    /\ Fault
    /\ net' = [net EXCEPT ![k] = @ \ {m}]
    /\ UNCHANGED <<rec, own, done, kept, skew>>

(* The answer to a submission (GatewayWork.start, resume).                                                            *)
Answer(o) ==
    LET w == own[o] IN
    /\ Awake(o, "wait")
    /\ ~UnderWay(o)
    /\ IF <<w.gen, w.att>> \in kept[w.key]
       THEN own' = [own EXCEPT ![o].pc = IF w.fence = 1 THEN "look" ELSE "park", ![o].spent = TRUE]
       ELSE /\ Executed(w.key, w.gen, w.att)
            /\ own' = [own EXCEPT ![o].pc = "commit", ![o].res = "done"]
    /\ UNCHANGED <<rec, net, done, kept, skew, faults>>

(* No answer: the submission was lost, is late, or its answer was lost.  Where "not found" is final at once, nothing  *)
(* is late: it is executed while its sender waits, or never.                                                          *)
NoAnswer(o) ==
    LET w == own[o]
        gone == ~UnderWay(o) /\ ~Executed(w.key, w.gen, w.att) /\ <<w.gen, w.att>> \notin kept[w.key] IN
    /\ Awake(o, "wait")
    /\ Gateway = "ignores" => ~UnderWay(o)
    /\ IF gone THEN UNCHANGED faults ELSE Fault
    /\ Becomes(o, IF w.fence = 1 THEN "look" ELSE "park")
    /\ UNCHANGED <<rec, net, done, kept, skew>>

----------------------------------------------------------------------------
(* ASK the gateway about every reference of the claim (GatewayWork._find).  What was executed may be shown late, but   *)
(* no later than FinalAfter after it was sent; where "not found" is never final, at any time.                         *)
Hidden(e) == NeverFinal \/ e.ttl >= 0
Asked(o) == {e \in done[own[o].key] : e.gen = own[o].gen /\ e.att <= own[o].att}
MayFind(o) == InTime(o) /\ Asked(o) # {}
MayNotFind(o) == \A e \in Asked(o) : Hidden(e)

(* The first owner asks once after a submission without an answer, and parks unless it was executed.                  *)
Look(o) ==
    /\ Awake(o, "look")
    /\ \/ /\ MayFind(o)
          /\ own' = [own EXCEPT ![o].pc = "commit", ![o].res = "done"]
          /\ UNCHANGED faults
       \/ /\ IF InTime(o) /\ ~MayNotFind(o) THEN Fault ELSE UNCHANGED faults     \* the lookup fails
          /\ Becomes(o, "park")
    /\ UNCHANGED <<rec, net, done, kept, skew>>

(* rules.decide: what a later owner may do.                                                                           *)
Final(o) == ~NeverFinal /\ own[o].hor + FinalAfter <= ClockOf(o)
AgeOf(o) == ClockOf(o) - own[o].born
IsYoung(o) == Young = 0 \/ AgeOf(o) < Young
KeyIsRemembered(o) == HonoursKeys /\ (Retention = 0 \/ AgeOf(o) < Retention - KeyMargin)

AfterFinalNotFound(o) ==                              \* rules._after_not_executed
    LET w == own[o] IN
    IF IsYoung(o) /\ ~w.spent THEN own' = [own EXCEPT ![o].pc = "send", ![o].asked = TRUE]
    ELSE IF IsYoung(o) /\ w.att < MaxAttempts
         THEN own' = [own EXCEPT ![o] = [w EXCEPT !.pc = "park", !.att = w.att + 1, !.spent = FALSE, !.next = "now"]]
    ELSE own' = [own EXCEPT ![o].pc = "commit", ![o].res = "failed"]

AfterNotKnown(o) ==
    IF IsYoung(o) /\ ~own[o].spent /\ KeyIsRemembered(o)
    THEN own' = [own EXCEPT ![o].pc = "send", ![o].asked = TRUE]
    ELSE own' = [own EXCEPT ![o].pc = "park", ![o].next = "settled"]

Ask(o) ==
    /\ Awake(o, "ask")
    /\ \/ /\ MayFind(o)
          /\ own' = [own EXCEPT ![o].pc = "commit", ![o].res = "done"]
          /\ UNCHANGED faults
       \/ /\ InTime(o) /\ MayNotFind(o)
          /\ IF Final(o) THEN AfterFinalNotFound(o) ELSE AfterNotKnown(o)
          /\ UNCHANGED faults
       \/ /\ IF InTime(o) THEN Fault ELSE UNCHANGED faults              \* the lookup fails
          /\ AfterNotKnown(o)
    /\ UNCHANGED <<rec, net, done, kept, skew>>

----------------------------------------------------------------------------
(* PARK: the outcome is not known (DatabaseIdempotencyStore.park, Concluder._submit_horizon_ms).                      *)
RetryAt(o) ==
    LET settled == own[o].hor + FinalAfter IN
    IF own[o].next = "settled" /\ ~NeverFinal /\ settled > ClockOf(o) THEN settled ELSE ClockOf(o)

Park(o) ==
    LET w == own[o] IN
    /\ Awake(o, "park")
    /\ IF Mine(o)
       THEN rec' = [rec EXCEPT ![w.key] = [@ EXCEPT
                      !.st = "IN_DOUBT", !.lease = RetryAt(o), !.att = w.att, !.spent = w.spent,
                      \* The next owner compares it with its own clock.
                      !.hor = IF w.sent THEN Max(w.hor, ClockOf(o) + Margin) ELSE w.hor]]
       ELSE UNCHANGED rec
    /\ End(o)
    /\ UNCHANGED <<net, done, kept, skew, faults>>

(* COMMIT: response and business writes in one transaction (Concluder, DatabaseIdempotencyStore.complete).            *)
Commit(o) ==
    LET w == own[o] IN
    /\ Awake(o, "commit")
    /\ IF Mine(o)
       THEN rec' = [rec EXCEPT ![w.key] = [Vacant(@.gen) EXCEPT
                      !.st = "COMPLETED", !.fence = rec[w.key].fence, !.body = rec[w.key].body, !.att = w.att, !.res = w.res]]
       ELSE UNCHANGED rec
    /\ End(o)
    /\ UNCHANGED <<net, done, kept, skew, faults>>

(* Work that is all in its commit may find, when it drafts that, that the request must be refused by now.             *)
Refuse(o) ==
    /\ Gateway = "none" /\ Awake(o, "commit")
    /\ Becomes(o, "release")
    /\ UNCHANGED <<rec, net, done, kept, skew, faults>>

(* RELEASE: certainly nothing happened (Concluder._release, DatabaseIdempotencyStore.release).                        *)
Release(o) ==
    /\ Awake(o, "release")
    /\ IF Mine(o) THEN rec' = [rec EXCEPT ![own[o].key] = Vacant(@.gen)] ELSE UNCHANGED rec
    /\ End(o)
    /\ UNCHANGED <<net, done, kept, skew, faults>>

(* An operator releases an open claim whose owner can't be at work any more, after looking at the gateway             *)
(* (ReleaseDesk).  The look counts when the gateway's "not found" is final: the desk can't check that.                *)
OperatorReleases(k) ==
    LET r == rec[k]
        h == IF r.st = "INPROGRESS" THEN Max(r.hor, r.lease) ELSE r.hor IN
    /\ Fault
    /\ r.st \in Open
    /\ r.hor <= 0
    /\ r.st = "INPROGRESS" => r.lease < 0             \* its owner may be at work
    /\ ~NeverFinal /\ h + FinalAfter <= 0             \* the operator waits for it
    /\ \A e \in done[k] : e.gen = r.gen => Hidden(e)  \* the finding
    /\ rec' = [rec EXCEPT ![k] = Vacant(@.gen)]
    /\ UNCHANGED <<own, net, done, kept, skew>>

----------------------------------------------------------------------------
(* An execution is killed; or frozen past its deadline, as a container may be, and goes on.                           *)
Crash(o) == own[o].pc # "idle" /\ Fault /\ End(o) /\ UNCHANGED <<rec, net, done, kept, skew>>

Freeze(o) ==
    /\ own[o].pc # "idle" /\ ~own[o].frozen
    /\ Fault
    /\ own' = [own EXCEPT ![o].frozen = TRUE]
    /\ UNCHANGED <<rec, net, done, kept, skew>>

Thaw(o) ==
    /\ own[o].frozen /\ ~InTime(o)
    /\ own' = [own EXCEPT ![o].frozen = FALSE]
    /\ UNCHANGED <<rec, net, done, kept, skew, faults>>

(* A tick: who is awake keeps its deadline (what makes it late is a freeze), and no submission outlives the gateway's *)
(* bound.                                                                                                             *)
Tick ==
    /\ \A o \in Owners : own[o].pc = "idle" \/ own[o].frozen \/ own[o].dl > 0
    /\ \A k \in Keys : \A m \in net[k] : m.ttl > 0 \/ (NeverFinal /\ Retention = 0)
    /\ rec' = [k \in Keys |-> LET r == rec[k] IN
                 IF r.st \notin Open THEN r
                 ELSE [r EXCEPT !.lease = Down(@, Low), !.hor = Down(@, Low), !.born = IF Aging THEN Down(@, Oldest) ELSE 0]]
    /\ own' = [o \in Owners |-> LET w == own[o] IN
                 IF w.pc = "idle" THEN w
                 ELSE [w EXCEPT !.dl = Down(@, -1), !.hor = Down(@, Low), !.born = IF Aging THEN Down(@, Oldest) ELSE 0]]
    /\ net' = [k \in Keys |-> {[m EXCEPT !.ttl = IF NeverFinal /\ Retention = 0 THEN @ ELSE @ - 1] : m \in net[k]}]
    /\ done' = [k \in Keys |-> {[e EXCEPT !.ttl = IF NeverFinal THEN @ ELSE Down(@, -1), !.age = IF Retention > 0 THEN -Down(-@, -Retention) ELSE 0] : e \in done[k]}]
    /\ UNCHANGED <<kept, skew, faults>>

----------------------------------------------------------------------------
Init ==
    /\ rec = [k \in Keys |-> Vacant(0)]
    /\ own = [o \in Owners |-> Idle]
    /\ net = [k \in Keys |-> {}]
    /\ done = [k \in Keys |-> {}]
    /\ kept = [k \in Keys |-> {}]
    /\ skew \in [Owners -> {0, Margin}]
    /\ faults = MaxFaults

Steps(o) ==
    \/ TakeOver(o) \/ Send(o) \/ NeverSent(o) \/ Answer(o) \/ NoAnswer(o) \/ Look(o) \/ Ask(o)
    \/ Park(o) \/ Commit(o) \/ Refuse(o) \/ Release(o) \/ Thaw(o)

Requests(o, k) ==
    \/ \E b \in Bodies, late \in BOOLEAN : Claim(o, k, b, late)
    \/ \E b \in Bodies \cup {Recovery} : Observe(o, k, b)

GatewayActs(k) ==
    \E m \in net[k] : Deliver(k, m) \/ Lose(k, m) \/ \E executed \in BOOLEAN : FailAndKeep(k, m, executed)

Next ==
    \/ Tick
    \/ \E o \in Owners : Steps(o) \/ Crash(o) \/ Freeze(o) \/ \E k \in Keys : Requests(o, k)
    \/ \E k \in Keys : GatewayActs(k) \/ OperatorReleases(k)

(* What certainly happens: time passes, executions go on, submissions arrive, recovery runs.  No client has to come.  *)
Fairness ==
    /\ WF_vars(Tick)
    /\ \A o \in Owners : WF_vars(Steps(o))
    /\ \A k \in Keys :
        /\ WF_vars(\E m \in net[k] : Deliver(k, m))
        /\ SF_vars(\E o \in Owners : Observe(o, k, Recovery))

Spec == Init /\ [][Next]_vars
Symmetry == Permutations(Owners) \cup Permutations(Keys)   \* owners differ by their clocks alone, which Init draws
FairSpec == Spec /\ Fairness

----------------------------------------------------------------------------
(* P1: one execution for a key, under whatever reference. *)
OneExecution == \A k \in Keys : Cardinality(done[k]) <= 1

(* Nothing is sent again while the first may still be executed, unless the gateway can't execute both. *)
MayExecute(k) == {m \in net[k] : Reference(m) \notin kept[k]} \cup done[k]
NothingSentTwice ==
    \A k \in Keys : \A m, n \in MayExecute(k) :
        \/ m.gen = n.gen /\ m.fence = n.fence
        \/ HonoursKeys /\ Reference(m) = Reference(n)

(* A reference is stored before it is sent: whoever takes the claim over asks about it. *)
StoredBeforeSent ==
    \A k \in Keys : \A m \in net[k] \cup done[k] : m.gen = rec[k].gen /\ rec[k].st # "none" => m.att <= rec[k].att

(* P2, P4: what is recorded as executed was; what is recorded as not executed was not, and will not be. *)
ResultsAreTrue ==
    \A k \in Keys : rec[k].st = "COMPLETED" /\ Gateway # "none" =>
        IF rec[k].res = "done" THEN done[k] # {} ELSE MayExecute(k) = {}

(* P4: a key is free again only when nothing was executed, and nothing may be. *)
FreeOnlyWhenCertain == \A k \in Keys : rec[k].st = "none" => MayExecute(k) = {}

(* P5: whoever may still send owns the newest fence of an open claim. *)
SendersOwn ==
    \A o \in Owners : own[o].pc \in {"send", "ask", "wait"} /\ InTime(o) => Mine(o)

(* 422: nobody owns a claim that was made for another body. *)
OneBody ==
    \A o \in Owners : own[o].pc # "idle" /\ own[o].body # Recovery /\ own[o].gen = rec[own[o].key].gen /\ own[o].fence = rec[own[o].key].fence
        /\ rec[own[o].key].st # "none" => own[o].body = rec[own[o].key].body

(* Each fault costs a bounded number of owners: a claim is not passed on for ever. *)
FewOwners == \A k \in Keys : rec[k].fence <= MaxOwners

(* P3: a completed record never changes. *)
CompletedIsFinal == [][\A k \in Keys : rec[k].st = "COMPLETED" => rec'[k] = rec[k]]_rec

(* P5: an open claim changes by a takeover, an operator's release, the passing of time, or at the hand of its owner. *)
Timeless(r) == [r EXCEPT !.lease = 0, !.hor = 0, !.born = 0]
TookOver(k) ==
    rec'[k].fence = rec[k].fence + 1 /\ rec'[k].gen = rec[k].gen /\ rec[k].st \in Open /\ rec'[k].st = "INPROGRESS"
ByItsOwner(k) ==
    \E o \in Owners :
        /\ own[o].key = k /\ own[o].gen = rec[k].gen /\ own[o].fence = rec[k].fence
        /\ own[o].pc \in {"park", "commit", "release"} /\ own'[o] = Idle
OnlyOwnersWrite ==
    [][\A k \in Keys : rec[k].st # "none" /\ Timeless(rec'[k]) # Timeless(rec[k])
        => TookOver(k) \/ ByItsOwner(k) \/ (rec'[k].st = "none" /\ faults' < faults)]_<<rec, own, faults>>

(* Every claim is concluded. *)
Concluded == \A k \in Keys : rec[k].st \in Open ~> rec[k].st \notin Open
=============================================================================
