"""The Postman collection: every operation is in it, and Postman's own runner sends them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from local import node
from tests.support.aws import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.api_in_memory import Api

COLLECTION = REPOSITORY / "clients" / "postman" / "payonce.postman_collection.json"


def test_newman_sends_every_request(tools: Path, api: Api, url: str, tmp_path: Path) -> None:
    """Each request is understood: 404 where the example's resource is not there, and no 400, 401 or 405.

    Fails when the collection has another path, an invalid body or no key: https://github.com/postmanlabs/newman.
    """
    report = tmp_path / "report.json"
    variables = [
        part for name, value in (("baseUrl", url), ("apiKey", api.api_key)) for part in ("--env-var", f"{name}={value}")
    ]
    options = ["--reporters", "json", "--reporter-json-export", str(report)]
    node.run([str(tools / "newman"), "run", str(COLLECTION), *variables, *options], tmp_path)
    executions = json.loads(report.read_text())["run"]["executions"]
    assert len(executions) == len(requests(json.loads(COLLECTION.read_text())["item"]))
    answers = {f"{each['item']['name']}: {each['response']['code']}" for each in executions}
    codes = {each["response"]["code"] for each in executions}
    assert codes <= {200, 201, 202, 404}, answers
    keys = [each["key"] for each in api.requests if each["method"] != "GET"]
    assert all(keys)
    assert len(set(keys)) == len(keys)


def test_a_key_that_is_set_is_kept(tools: Path, api: Api, url: str, tmp_path: Path) -> None:
    """Sending again is then a retry."""
    key = "order-4711-first-attempt"
    settings = {"baseUrl": url, "apiKey": api.api_key, "idempotencyKey": key}
    variables = [part for name, value in settings.items() for part in ("--env-var", f"{name}={value}")]
    command = [str(tools / "newman"), "run", str(COLLECTION), *variables, "--folder", "Create a payment", "-n", "2"]
    node.run(command, tmp_path)
    assert [each["key"] for each in api.requests] == [key, key]
    assert len(api.gateway.bookings) == 1


def requests(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the requests below folders."""
    return [each for folder in items for each in folder["item"]]
