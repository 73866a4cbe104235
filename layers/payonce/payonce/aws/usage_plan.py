"""API Gateway's usage plan, which gives each merchant a token bucket of its own.

API Gateway counts by its own kind of API key. Ours grants nothing and is no secret: the authorizer names it
(``usageIdentifierKey``), and a key that a client sends is ignored. See docs/adr/0021-requests-per-merchant.md.
"""

from __future__ import annotations

from typing import Any

from payonce.domain.errors import StoreUnavailable
from payonce.extras import needs

with needs("dynamodb"):
    from botocore.exceptions import BotoCoreError, ClientError


class UsagePlan:
    """Adds merchants to the usage plan."""

    def __init__(self, client: Any, plan_id: str) -> None:
        self._client = client
        self._plan_id = plan_id

    def add(self, merchant_id: str) -> str:
        """Add the merchant to the plan and return its usage key. Idempotent. Raises ``StoreUnavailable``."""
        value = merchant_id.replace("_", "")  # letters and digits, at least 20, as API Gateway requires
        try:
            key_id = self._key(merchant_id, value)
            self._unless_there("create_usage_plan_key", usagePlanId=self._plan_id, keyId=key_id, keyType="API_KEY")
        except (BotoCoreError, ClientError) as error:
            raise StoreUnavailable(f"API Gateway did not add {merchant_id} to the usage plan: {error}") from error
        return value

    def _key(self, name: str, value: str) -> str:
        made = self._unless_there("create_api_key", name=name, value=value, enabled=True)
        if made is None:
            made = next(item for item in self._client.get_api_keys(nameQuery=name)["items"] if item["name"] == name)
        return str(made["id"])

    def _unless_there(self, action: str, **arguments: Any) -> dict[str, Any] | None:
        try:
            answer: dict[str, Any] = getattr(self._client, action)(**arguments)
        except self._client.exceptions.ConflictException:
            return None
        return answer
