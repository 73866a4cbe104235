"""Holds template.yaml to Checkov's rules, with the exceptions of security/checkov.toml. Run by `make security`.

Exits with 1 for a finding without an exception, and for an exception without a finding. It runs where Checkov is
installed, which is not beside the tests, and so imports nothing of this repository.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
EXCEPTIONS = REPOSITORY / "security/checkov.toml"


def main() -> int:
    """Run Checkov, print what is wrong, and return the exit code."""
    checkov = Path(sys.executable).with_name("checkov")
    # --compact: no excerpts. Without --skip-download it would ask its maker's service for texts about the rules.
    command = [
        checkov,
        "-f",
        "template.yaml",
        "--framework",
        "cloudformation",
        "--compact",
        "--skip-download",
        "-o",
        "json",
    ]
    ran = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)  # noqa: S603
    try:
        report = json.loads(ran.stdout)
    except json.JSONDecodeError:
        sys.stderr.write(f"checkov did not run:\n{ran.stderr[-2000:]}\n")
        return 1
    failed = [(each["check_id"], each["resource"], each["check_name"]) for each in report["results"]["failed_checks"]]
    exceptions = tomllib.loads(EXCEPTIONS.read_text())
    problems = unexplained(failed, exceptions) + unneeded(failed, exceptions)
    problems += [f"checkov can't read {name}" for name in report["results"]["parsing_errors"]]
    passed = report["summary"]["passed"]
    print(f"template.yaml: {passed} checks passed, {len(failed)} findings by {len(exceptions)} explained rules")
    print("\n".join(problems), end="\n" if problems else "")
    return 1 if problems or not passed else 0


def unexplained(failed: list[tuple[str, str, str]], exceptions: dict[str, Any]) -> list[str]:
    """Return a line for each (rule, resource, text) that no exception names."""
    return [
        f"{rule} {resource}: {text}. Follow it, or explain it in {EXCEPTIONS.name}."
        for rule, resource, text in failed
        if not any(fnmatchcase(resource, pattern) for pattern in exceptions.get(rule, {}).get("resources", ()))
    ]


def unneeded(failed: list[tuple[str, str, str]], exceptions: dict[str, Any]) -> list[str]:
    """Return a line for each exception's pattern that matches no finding, and for each one without a reason."""
    lines = [
        f"{rule} {pattern}: nothing is found, take the exception out of {EXCEPTIONS.name}."
        for rule, exception in exceptions.items()
        for pattern in exception["resources"]
        if not any(found == rule and fnmatchcase(resource, pattern) for found, resource, _ in failed)
    ]
    return lines + [f"{rule}: its exception gives no reason." for rule in exceptions if not exceptions[rule]["reason"]]


if __name__ == "__main__":
    sys.exit(main())
