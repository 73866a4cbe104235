"""The Lambda authorizer: maps an API key to a merchant, its scopes and its gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from payonce.domain.errors import Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.merchants.api_keys import Merchants


class Unauthorized(Exception):
    """Tells API Gateway that the key is missing or unknown."""

    def __init__(self) -> None:
        super().__init__("Unauthorized")


def authorize(merchants: Merchants, event: Mapping[str, Any], *, shared_usage_key: str = "") -> dict[str, Any]:
    """Return the policy and context of a TOKEN authorizer event. Raises ``Unauthorized``.

    ``usageIdentifierKey`` names the usage plan's token bucket that the request is counted in: the merchant's own, or
    the one shared by all merchants without one. It is cached with the policy, but API Gateway counts every request.
    The policy allows the whole stage, because API Gateway caches it per token across routes; the routes check scopes.
    """
    try:
        principal = merchants.authenticate(str(event.get("authorizationToken", "")))
    except Unauthenticated:
        raise Unauthorized from None
    api, stage = str(event["methodArn"]).split("/")[:2]
    usage_key = principal.usage_key or shared_usage_key
    return {
        "principalId": principal.key_id,
        **({"usageIdentifierKey": usage_key} if usage_key else {}),
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [{"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": f"{api}/{stage}/*"}],
        },
        "context": {
            "merchant_id": principal.merchant_id,
            "scopes": " ".join(principal.scopes),
            "gateway": principal.gateway,
            **({"holder": principal.holder} if principal.holder else {}),
        },
    }
