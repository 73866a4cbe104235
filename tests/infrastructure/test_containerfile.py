"""The shape of the sidecar's image. None is built here: no registry can be reached from a test."""

from __future__ import annotations

import re
import shlex
import sys

import pytest

from tests.support.aws import REPOSITORY

LINES = re.sub(r"\\\n\s*", "", (REPOSITORY / "Containerfile").read_text()).splitlines()
STEPS = [tuple(line.split(" ", 1)) for line in LINES if line and not line.startswith("#")]
LAST = max(index for index, (word, _) in enumerate(STEPS) if word == "FROM")
LOCK = (REPOSITORY / "requirements" / "sidecar.txt").read_text()


def arguments(word: str) -> list[str]:
    return [text for found, text in STEPS[LAST:] if found == word]


def test_it_runs_as_nobody_and_stops_by_a_signal_that_is_handled() -> None:
    """Fails when the process is root, or is killed without finishing what is in flight."""
    (user,) = arguments("USER")
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)
    words = [word for word, _ in STEPS[LAST:]]
    assert words.index("USER") < words.index("ENTRYPOINT")
    assert not any(word == "COPY" for word in words[words.index("USER") :])
    assert arguments("STOPSIGNAL") == ["SIGTERM"]
    # The list form: a shell in between would get the signal and keep it.
    assert all(text.startswith("[") for word in ("ENTRYPOINT", "CMD") for text in arguments(word))


def test_packages_are_pinned_by_hash_and_the_last_stage_installs_none() -> None:
    installs = [text for word, text in STEPS if word == "RUN" and "pip install" in text]
    assert len(installs) == 1
    assert {"--require-hashes", "--only-binary"} <= set(shlex.split(installs[0]))
    assert not any(word in {"RUN", "ADD"} for word, _ in STEPS[LAST:])
    assert "://" not in LOCK


def test_the_python_is_the_one_that_is_tested() -> None:
    version = "{}.{}".format(*sys.version_info[:2])
    images = [text.split()[0] for word, text in STEPS if word == "FROM"]
    assert {image.rsplit(":", 1)[1] for image in images} == {f"{version}-slim"}
    assert all("/" in image and image.split("/")[0].count(".") for image in images)  # the registry is named
    assert any(f"python{version}/site-packages/payonce" in text for text in arguments("COPY"))


@pytest.mark.parametrize("text", [text for word, text in STEPS if word == "COPY" and "--from" not in text])
def test_what_is_copied_exists_and_is_let_through(text: str) -> None:
    source = text.split()[0]
    assert (REPOSITORY / source).exists()
    assert f"!{source}" in (REPOSITORY / ".containerignore").read_text().splitlines()


def test_health_and_start_are_what_the_sidecar_has() -> None:
    (health,) = arguments("HEALTHCHECK")
    assert "/-/health" in health
    assert '"payonce.cli", "sidecar"' in arguments("ENTRYPOINT")[0]


def test_the_sidecars_packages_are_not_in_the_lambda_layer() -> None:
    """Fails when functions pay at cold start for a server that they never start."""
    layer = (REPOSITORY / "layers" / "dependencies" / "requirements.txt").read_text()
    for package in ("uvicorn", "prometheus-client", "h11", "redis"):
        assert not re.search(rf"^{package}==", layer, re.MULTILINE)
    assert all(re.search(rf"^{package}==", LOCK, re.MULTILINE) for package in ("uvicorn", "prometheus-client", "boto3"))
