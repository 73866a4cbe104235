"""The contract's settings, and what its modules import."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from payonce.domain.errors import MisconfiguredError
from payonce.idempotency.window import IdempotencySettings
from payonce.middlewares.scopes import scope_text
from tests.support.aws import REPOSITORY
from tests.support.middlewares.direct import contract
from tests.support.upstreams.running import ENVIRONMENT

KEYED = {"idempotency-key"}


async def asking(_: Any) -> None:
    """What an asynchronous application's author may take for a ``resolve``."""


@pytest.mark.parametrize(
    "setting",
    [
        {"timeout_seconds": 0},
        {"timeout_seconds": 3601},
        {"operation": "with space"},
        {"routes": ("GET /orders",)},
        {"routes": ("POST",)},
        {"routes": ("POST /orders/{",)},
        {"keep": ("2xx", "nine")},
        {"keep": ("4xx",)},
        {"keep": ("2xx", "429")},
        {"wait_seconds": 21},
        {"max_inline_bytes": 512 * 1024},
        {"max_bytes": 1024},
        {"max_request_bytes": -1},
        {"max_in_flight": 0},
        {"releases_on": (OSError, KeyboardInterrupt)},
        {"resolve": asking},
    ],
)
def test_a_setting_out_of_range_stops_the_start(setting: dict[str, Any]) -> None:
    """And not a request."""
    with pytest.raises(ValueError):
        contract(**setting)


def test_a_window_out_of_range_stops_the_start() -> None:
    """24 to 72 hours, as everywhere."""
    with pytest.raises(MisconfiguredError):
        contract(settings=IdempotencySettings(window_seconds=60))


def test_which_requests_are_keyed() -> None:
    """Unsafe methods with a key, on the routes; without one where it is required, and then it is refused."""
    every = contract()
    assert [every.takes(method, "/", KEYED) for method in ("POST", "PUT", "PATCH", "DELETE", "GET", "QUERY")] == (
        [True] * 4 + [False] * 2
    )
    assert every.takes("POST", "/", {"x-idempotency-key"})
    assert not every.takes("POST", "/", {"x-other"})
    some = contract(routes=("POST /orders", "* /orders/{id}/items/{rest+}"), required=True)
    taken = {
        ("POST", "/orders"): True,
        ("POST", "/orders?a=b"): True,
        ("POST", "/%6frders"): True,  # RFC 3986, 6.2.2.2: the same path
        ("PUT", "/orders"): False,
        ("DELETE", "/orders/1/items/2/3"): True,
        ("DELETE", "/orders/1/items"): False,
        ("GET", "/orders"): False,
    }
    assert {request: some.takes(*request, set()) for request in taken} == taken


def test_scopes_are_kept_apart() -> None:
    """No scope's text can stand for another's in a stored key, and no credential is stored in clear."""
    assert scope_text("mer_1") == "mer_1"
    assert scope_text(17) == "17"
    texts = ["a#b", "a b", "ann@example.org", "x" * 129, "sha256:" + "0" * 64, "é"]
    hashed = [scope_text(text) for text in texts]
    assert len(set(hashed)) == len(texts)
    assert all(scope.startswith("sha256:") and "#" not in scope for scope in hashed)
    with pytest.raises(TypeError):
        scope_text(object())


@pytest.mark.parametrize("module", ["asgi", "wsgi", "lambda_handler", "consumers", "django"])
def test_a_module_imports_only_what_it_needs(module: str) -> None:
    """No framework but its own, no AWS SDK, no store, and none of the payments."""
    foreign = {"starlette", "fastapi", "flask", "werkzeug", "django", "asgiref", "celery", "boto3", "redis"}
    foreign |= {"pydantic", "greenlet", "payonce.payments", "payonce.gateways", "payonce.stores", "payonce.wiring"}
    foreign -= {"django", "asgiref"} if module == "django" else set()
    code = f"import sys, payonce.middlewares.{module}; print(sorted({foreign!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, cwd=REPOSITORY, capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
