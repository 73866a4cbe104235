"""RFC 9457 problem documents as data: each type's status, title, and whether a retry with the same key makes sense."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, NotRequired, TypedDict

from payonce.domain import errors

if TYPE_CHECKING:
    from collections.abc import Mapping

PROBLEM_CONTENT_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:payonce:problem:"


class ProblemView(TypedDict):
    """The members of every problem document. Each type may have further ones."""

    type: str
    title: str
    status: int
    detail: str
    retryable: Annotated[bool, "Whether to retry the same request with the same key."]
    documentation: NotRequired[
        Annotated[str, "The type's section of docs/problems.md, where the operator names a page."]
    ]


@dataclass(frozen=True, slots=True)
class ProblemType:
    """A stable ``slug`` (the last part of ``type``), the HTTP status, a title, and whether an unchanged retry helps."""

    slug: str
    status: int
    title: str
    retryable: bool = False


INVALID = ProblemType("invalid-request", 400, "The request is not valid")
DECLINED = ProblemType("declined", 402, "The payment was declined")
RESPONSE_TOO_LARGE = ProblemType("response-too-large", 502, "The response is too large to replay")
# 504 is what API Gateway sends when it times out, which a client has to treat as an unknown outcome anyway. Every 503
# of this API means that the request had no effect and never will have.
OUTCOME_UNKNOWN = ProblemType("outcome-unknown", 504, "It may have been executed, or may be yet", retryable=True)
IN_DOUBT = replace(OUTCOME_UNKNOWN, status=409)
# An unforeseen error or a defect. It does not say what the request did; the same key never executes it twice.
INTERNAL = ProblemType("internal", 500, "Something went wrong on our side", retryable=True)
NOT_EXECUTED = ProblemType("not-executed", 402, "The gateway did not execute the operation")

PROBLEMS: Mapping[type[errors.PayonceError], ProblemType] = MappingProxyType(
    {
        errors.BodyMalformed: INVALID,
        errors.CursorUnknown: INVALID,
        errors.BodyTooLarge: ProblemType("body-too-large", 413, "The body is too large"),
        errors.CardNumberRefused: ProblemType("card-number-refused", 400, "Card numbers are refused"),
        errors.Unauthenticated: ProblemType("unauthenticated", 401, "The API key is missing or not known"),
        errors.Forbidden: ProblemType("forbidden", 403, "The API key may not do this"),
        errors.NotFound: ProblemType("not-found", 404, "There is no such resource"),
        errors.MethodNotAllowed: ProblemType("method-not-allowed", 405, "The route does not take this method"),
        errors.OperationNotSupported: ProblemType("not-supported", 400, "No gateway of yours can do this"),
        errors.PaymentStateConflict: ProblemType("payment-state", 409, "The payment's state does not allow this"),
        errors.SetupStateConflict: ProblemType(
            "setup-state", 409, "The state of the setup or payment method does not allow this"
        ),
        errors.CorrectionStateConflict: ProblemType(
            "correction-state", 409, "The correction can't be decided like this"
        ),
        errors.MatchConflict: ProblemType("match-conflict", 409, "The rows can't be matched like this"),
        errors.SelfApprovalRefused: ProblemType("self-approval", 403, "A second person has to decide"),
        errors.AmountExceedsAvailable: ProblemType("amount-exceeds-available", 409, "The amount exceeds what is left"),
        errors.EndpointStateConflict: ProblemType("endpoint-state", 409, "The endpoint's state does not allow this"),
        errors.EndpointLimitReached: ProblemType("endpoint-limit", 409, "There are too many webhook endpoints"),
        errors.DeliveryStateConflict: ProblemType("delivery-state", 409, "The delivery's state does not allow this"),
        errors.ReleaseRefused: ProblemType("release-refused", 409, "The claim can't be released"),
        errors.OverrideRefused: ProblemType("override-refused", 409, "Routing can't be overridden like this"),
        errors.CredentialsRejected: ProblemType("credentials-rejected", 409, "The credentials were not stored"),
        errors.OverrideConflict: ProblemType("override-conflict", 409, "Another operator was faster"),
        errors.FileRejected: ProblemType("file-rejected", 422, "The file was not accepted"),
        errors.NoticeRefused: ProblemType("gateway-event-refused", 400, "The gateway's event was not accepted"),
        errors.KeyMissing: ProblemType("key-missing", 400, "An idempotency key is required"),
        errors.KeyMalformed: ProblemType("key-malformed", 400, "The idempotency key is malformed"),
        errors.KeyReused: ProblemType("key-reused", 422, "The idempotency key belongs to a different request"),
        errors.KeyInProgress: ProblemType("key-in-progress", 409, "The request is still in progress", retryable=True),
        errors.KeyExpired: ProblemType("key-expired", 409, "The idempotency key has expired"),
        # A guarded function's promise to its guard, inside a program (docs/in-process.md): it never reaches a route.
        errors.NotExecuted: INTERNAL,
        errors.Throttled: ProblemType("throttled", 429, "Too many requests", retryable=True),
        errors.GatewayRefused: ProblemType("gateway-unavailable", 503, "No gateway is available", retryable=True),
        errors.GatewayUnavailable: ProblemType("gateway-unavailable", 503, "No gateway is available", retryable=True),
        errors.CredentialsUnavailable: ProblemType(
            "gateway-unavailable", 503, "No gateway is available", retryable=True
        ),
        errors.UpstreamUnavailable: ProblemType("upstream-unavailable", 503, "The upstream is not available", True),
        errors.UpstreamRefused: ProblemType("upstream-unavailable", 503, "The upstream is not available", True),
        errors.Overloaded: ProblemType("overloaded", 503, "There is too much to do", retryable=True),
        errors.StoreUnavailable: ProblemType("store-unavailable", 503, "Storage is not available", retryable=True),
        errors.StoreThrottled: ProblemType("store-unavailable", 503, "Storage is not available", retryable=True),
        errors.ResponseNotStorable: ProblemType("response-not-storable", 400, "The response could not be stored"),
        errors.OutcomeUnknown: OUTCOME_UNKNOWN,
        errors.ResultNotStored: ProblemType("result-not-stored", 500, "The result of the operation was not stored"),
        errors.LeaseLost: ProblemType("key-in-progress", 409, "The request is still in progress", retryable=True),
        errors.SecretNotOpened: INTERNAL,
        errors.WriteConflict: OUTCOME_UNKNOWN,
        errors.StoreRequestInvalid: INTERNAL,
        errors.ConservationViolated: INTERNAL,
        errors.CaseTransitionError: INTERNAL,
        errors.MisconfiguredError: INTERNAL,
        errors.PackageMissing: INTERNAL,
    }
)


def problem_document(problem: ProblemType, detail: str, **extensions: Any) -> bytes:
    """Return the document's exact bytes. ``extensions`` are additional members, such as ``resource`` or ``errors``."""
    document: ProblemView = {
        "type": TYPE_PREFIX + problem.slug,
        "title": problem.title,
        "status": problem.status,
        "detail": detail,
        "retryable": problem.retryable,
    }
    further = {name: value for name, value in extensions.items() if value not in (None, "")}
    return json.dumps({**document, **further}, separators=(",", ":"), ensure_ascii=False).encode()


def documentation_link(page_url: str, problem: ProblemType) -> str:
    """Return the link to the type's section of the page, or "" where no page is configured.

    Only answers that are rendered anew carry the link. A stored answer has none: it is replayed byte for byte, and the
    page may have moved by then.
    """
    return f"{page_url}#{problem.slug}" if page_url else ""


def problem_of(error: errors.PayonceError) -> ProblemType:
    """Return the problem type of an error: its own, or that of the nearest base class that has one."""
    for cls in type(error).__mro__:
        if cls in PROBLEMS:
            return PROBLEMS[cls]
    return INTERNAL
