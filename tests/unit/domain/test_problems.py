"""What docs/problems.md tells clients is what the code and API Gateway answer, type by type.

RFC 9457, 3.1.3: a type's title does not change from one occurrence to the next (but for its language).
https://www.rfc-editor.org/rfc/rfc9457#section-3.1.3
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from local.gateway_responses import gateway_responses
from payonce.domain import problems
from payonce.domain.errors import MisconfiguredError
from payonce.domain.problems import PROBLEMS, TYPE_PREFIX, ProblemType, documentation_link
from payonce.wiring.settings import load_settings
from tests.support.aws import REPOSITORY, load_template

ALL_TYPES = {*PROBLEMS.values(), *(value for value in vars(problems).values() if isinstance(value, ProblemType))}
SECTION = re.compile(
    r"(?P<statuses>[0-9]{3}(?: \([^)]*\))?), (?P<retry>do not retry unchanged|retry with the same key)"
    r"(?: after `Retry-After`)?\. (?P<text>.*)",
    re.DOTALL,
)


def sections() -> dict[str, re.Match[str]]:
    """Return the first paragraph of each type in the page, by its slug. Raises ``AssertionError`` for another form."""
    _, *parts = (REPOSITORY / "docs/problems.md").read_text().split("\n## ")
    found = {}
    for part in parts:
        slug, _, text = part.partition("\n\n")
        match = SECTION.fullmatch(text)
        assert match is not None, slug
        assert slug not in found
        found[slug] = match
    return found


def api_gateways_answers(documentation_url: str = "") -> list[tuple[int, dict[str, Any]]]:
    """Return the status and document of each answer that API Gateway gives by itself, as the template says."""
    answers = gateway_responses(documentation_url)["Api"].values()
    assert {answer["ResponseParameters"]["Headers"]["Content-Type"] for answer in answers} == {
        "'application/problem+json'"
    }
    return [(answer["StatusCode"], json.loads(answer["ResponseTemplates"]["application/json"])) for answer in answers]


def test_what_api_gateway_refuses_has_the_link_too() -> None:
    """Fails when an answer of API Gateway's own leads to another type's section, or links where no page is named."""
    page = "https://pay.example.org/problems"
    linked, plain = api_gateways_answers(page), api_gateways_answers()
    assert len(linked) >= 14
    for (_, document), (_, without) in zip(linked, plain, strict=True):
        slug = document["type"].rpartition(":")[2]
        assert document == {**without, "documentation": f"{page}#{slug}"}
        assert slug in sections()


@pytest.mark.parametrize(
    ("url", "taken"),
    [
        ("", True),
        ("https://pay.example.org/problems", True),
        ("http://127.0.0.1:4800/problems.html?v=1&w=~", True),
        ('https://x.example/"', False),
        ("https://x.example/\\", False),
        ("https://x.example/$context.requestId", False),
        ("https://x.example/a b", False),
        ("https://x.example/#here", False),
    ],
)
def test_a_link_can_not_end_the_text_of_a_template(url: str, taken: bool) -> None:
    """Fails when a URL is taken that breaks the JSON of API Gateway's answers, or is a variable there."""
    pattern = load_template()["Parameters"]["DocumentationUrl"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, url)) is taken


def test_the_page_has_every_type_and_no_other() -> None:
    assert set(sections()) == {kind.slug for kind in ALL_TYPES}


@pytest.mark.parametrize("kind", sorted(ALL_TYPES, key=repr), ids=lambda kind: f"{kind.slug}-{kind.status}")
def test_the_page_says_what_the_api_answers(kind: ProblemType) -> None:
    """Fails when the page and the code differ in status, title, or whether to retry."""
    section = sections()[kind.slug]
    assert str(kind.status) in re.findall(r"[0-9]{3}", section["statuses"])
    assert (section["retry"] == "retry with the same key") == kind.retryable
    assert section["text"].startswith(f"{kind.title}. "), section["text"]


def test_a_type_has_one_title_and_one_answer_to_whether_to_retry() -> None:
    """Fails when two types share a slug and say different things: a client that reads `type` can't tell them apart."""
    said: dict[str, set[tuple[str, bool]]] = {kind.slug: set() for kind in ALL_TYPES}
    for kind in ALL_TYPES:
        said[kind.slug].add((kind.title, kind.retryable))
    assert {slug: each for slug, each in said.items() if len(each) > 1} == {}


def test_types_are_declared_in_one_place() -> None:
    made = [
        path.name for path in (REPOSITORY / "layers").rglob("*.py") if re.search(r"\bProblemType\(", path.read_text())
    ]
    assert made == ["problems.py"]


def test_what_api_function_answers_by_itself_says_the_same() -> None:
    """Fails when the template has another title, or another word on retrying, than the type of the same name."""
    by_slug = {kind.slug: kind for kind in ALL_TYPES}
    answers = api_gateways_answers()
    assert len(answers) == 14
    for status, document in answers:
        slug = str(document["type"]).removeprefix(TYPE_PREFIX)
        kind = by_slug[slug]
        assert (document["title"], document["retryable"]) == (kind.title, kind.retryable)
        assert document["status"] == status
        assert str(status) in re.findall(r"[0-9]{3}", sections()[slug]["statuses"])


@pytest.mark.parametrize("url", ["", "https://pay.example.org/problems", "http://127.0.0.1:8000/docs/problems.html"])
def test_a_link_is_to_the_page_that_is_configured_or_there_is_none(url: str) -> None:
    assert load_settings({"PAYONCE_DOCUMENTATION_URL": url}).documentation_url == url
    link = documentation_link(url, problems.INTERNAL)
    assert link == (f"{url}#internal" if url else "")
    document = json.loads(problems.problem_document(problems.INTERNAL, "why", documentation=link))
    assert document.get("documentation", "") == link


@pytest.mark.parametrize(
    "url", ["docs/problems.md", "javascript:alert(1)", "https://a b", "https:///x", "https://a/#b"]
)
def test_what_is_no_page_stops_the_start(url: str) -> None:
    """Fails when a link that leads nowhere, or that has a fragment already, is put into every answer."""
    with pytest.raises(MisconfiguredError, match="PAYONCE_DOCUMENTATION_URL"):
        load_settings({"PAYONCE_DOCUMENTATION_URL": url})


def test_no_page_of_nobodys_is_linked() -> None:
    """Fails when a document links to a host that is only an example's (RFC 2606)."""
    for kind in ALL_TYPES:
        assert "documentation" not in json.loads(problems.problem_document(kind, "why"))
    assert not [status for status, document in api_gateways_answers() if "documentation" in document]
