"""docs/how-to shows the examples as they are: every Python block stands in its file, and the files are short."""

from __future__ import annotations

import re

import pytest

from tests.support.aws import REPOSITORY

EXAMPLES = {"fastapi": "fastapi_service", "django": "django_service", "lambda": "lambda_service"}


@pytest.mark.parametrize("page", EXAMPLES)
def test_blocks_are_the_example_s(page: str) -> None:
    """What the page shows is what the tests run, and the number of lines is true."""
    text = (REPOSITORY / f"docs/how-to/{page}.md").read_text()
    example = (REPOSITORY / f"docs/examples/{EXAMPLES[page]}.py").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 4
    assert [block for block in blocks if block not in example] == []
    [lines] = re.findall(r"in\s(\d+)\slines", text)
    assert int(lines) == len(example.splitlines()) < 60
