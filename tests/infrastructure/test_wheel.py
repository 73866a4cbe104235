"""What ``pip install .`` and ``pip wheel .`` make of the repository, without network.

A wheel from an unpacked source archive is what package managers build, and there files that are not Python get lost
where they are found through git (https://github.com/vllm-project/vllm/pull/53762,
https://github.com/pypa/setuptools/issues/2498).
"""

from __future__ import annotations

import io
import json
import marshal
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from importlib.util import MAGIC_NUMBER, source_from_cache
from pathlib import Path

import pytest

import payonce
from tests.support.aws import REPOSITORY

PACKAGE = REPOSITORY / "layers" / "payonce" / "payonce"
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
EXAMPLE = REPOSITORY / "docs" / "examples" / "reconciliation"
HASHED_AND_UNCHECKED = 0b01  # flags of a .pyc, PEP 552
PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
WHEEL = (*PIP, "wheel", "--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir")
# What the documentation tells others to import.
PAGES = (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md")))
IMPORTS = [
    line for page in PAGES for line in re.findall(r"^from payonce[\w.]* import .+$", page.read_text(), re.MULTILINE)
]
USE = """
import pathlib, sys
import payonce
assert pathlib.Path(payonce.__file__).is_relative_to(sys.prefix), payonce.__file__
from payonce.reconciliation.matching.rules import FAMILIES, rule_files
for family in FAMILIES:
    written, compiled = rule_files(family), rule_files(family, compiled=True)
    assert [(one.name, len(one.statements)) for one in written] == [(one.name, len(one.statements)) for one in compiled]
print(payonce.__version__)
"""


def run(*command: str | Path, cwd: Path, codes: tuple[int, ...] = (0,)) -> str:
    """Run the command where no checkout is on the path, and return what it prints."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode in codes, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the wheel of the checkout, and that of its source archive."""
    folder = tmp_path_factory.mktemp("built")
    run(*WHEEL, folder / "checkout", REPOSITORY, cwd=folder)
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", folder, cwd=REPOSITORY)
    [archive] = folder.glob("*.tar.gz")
    run(*WHEEL, folder / "archive", archive, cwd=folder)
    [[wheel], [of_archive]] = [list((folder / name).glob("*.whl")) for name in ("checkout", "archive")]
    return wheel, of_archive


@pytest.fixture(scope="module")
def scripts(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of commands of a new environment that has the wheel, and this one's other packages."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    run(*PIP, "--python", python, "install", "--no-index", "--no-deps", built[0], cwd=folder)
    # This environment's own .pth files are not read through another one, so that the checkout stays out of sight.
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    (site / "packages.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


def data_files() -> set[str]:
    """Return every file of the package in the repository, as the wheel names it."""
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", PACKAGE, cwd=REPOSITORY).split()
    paths = [REPOSITORY / name for name in listed]
    return {path.relative_to(PACKAGE.parent).as_posix() for path in paths if path.is_file()}


def test_the_wheel_has_every_file_of_the_package_and_the_rules_for_spark(built: tuple[Path, Path]) -> None:
    """Fails when a template, a rule, a table of constants or py.typed is missing, or the source archive makes less."""
    wheel, of_archive = (zipfile.ZipFile(path) for path in built)
    assert {one.filename: one.CRC for one in wheel.infolist()} == {
        one.filename: one.CRC for one in of_archive.infolist()
    }
    names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    expected = data_files()
    assert {"payonce/py.typed", "payonce/reconciliation/report/report.html.jinja"} <= expected
    written = {name for name in expected if name.endswith(".sql")}
    [archive] = names - expected
    assert names == expected - written | {archive}
    packed = zipfile.ZipFile(io.BytesIO(wheel.read(archive))).namelist()
    rules = {re.sub(r".*/rules/", "", name) for name in written}
    assert set(packed) == {f"{dialect}/{name}" for dialect in ("duckdb", "spark") for name in rules}
    assert len(packed) == 2 * len(rules) > 0
    for text in ("LICENSE", "NOTICE"):
        [licence] = [name for name in wheel.namelist() if name.endswith(f"licenses/{text}")]
        assert wheel.read(licence) == (REPOSITORY / text).read_bytes()
    [metadata] = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    head = wheel.read(metadata).decode().partition("\n\n")[0].splitlines()
    assert {"License-Expression: Apache-2.0", "License-File: LICENSE", "License-File: NOTICE"} <= set(head)


def test_the_command_and_the_public_names_work_without_the_checkout(scripts: Path, tmp_path: Path) -> None:
    """Fails when the command, an import or a run of the rules needs a file that the wheel lacks."""
    assert "reconcile" in run(scripts / "payonce", "--help", cwd=tmp_path)
    assert any("idempotent_operation" in line for line in IMPORTS)
    assert run(scripts / "python", "-c", "\n".join(IMPORTS) + USE, cwd=tmp_path).strip() == payonce.__version__
    folder = shutil.copytree(EXAMPLE, tmp_path / "example")
    files = ("acquirer.csv", "bank.csv", "--ledger", "ledger.csv", "--gateway", "acquirer", "--policy", "policy.toml")
    outputs = ("--as-of", "2026-03-10", "--report", "report.html", "--json", "report.json")
    run(scripts / "payonce", "reconcile", *files, *outputs, cwd=folder, codes=(1,))  # it has breaks
    document = json.loads((folder / "report.json").read_text())
    assert "missing_in_gateway" in {one["break_class"] for one in document["breaks"]}
    assert "<svg" in (folder / "report.html").read_text()


def test_there_is_one_version() -> None:
    """Fails when the wheel, the package and the API's document tell versions of their own."""
    assert PROJECT["dynamic"] == ["version"]
    assert json.loads((REPOSITORY / "openapi.json").read_text())["info"]["version"] == payonce.__version__
    changelog = (REPOSITORY / "CHANGELOG.md").read_text()
    assert f"## [{payonce.__version__}]" in changelog or "## [Unreleased]" in changelog


def names_of(requirements: list[str]) -> set[str]:
    """Return the packages that the lines name, without versions and extras."""
    found = [re.match(r"[A-Za-z][\w.-]*", line) for line in requirements]
    return {one[0].lower() for one in found if one}


def brought(extra: str) -> set[str]:
    """Return the packages that the extra and those within it name."""
    found = set[str]()
    for line in PROJECT["optional-dependencies"][extra]:
        within = re.fullmatch(r"payonce\[(.*)\]", line)
        found |= set().union(*map(brought, within[1].split(","))) if within else names_of([line])
    return found


def test_the_packages_are_those_of_the_layers_and_lock_files() -> None:
    """Fails when a package is added to a layer or an environment, and ``pip install`` does not bring it."""

    def lines(file: str) -> list[str]:
        return (REPOSITORY / file).read_text().splitlines()

    assert PROJECT["dependencies"] == []
    functions = names_of(lines("layers/dependencies/requirements.in"))
    assert brought("functions") == functions | {"boto3"}
    engine = names_of(lines("layers/reconciliation/requirements.in"))
    assert brought("reconcile") <= names_of(lines("requirements/reconcile.in")) | engine | functions
    assert names_of(lines("requirements/reconcile.in")) | engine <= brought("reconcile") | {"boto3"}
    assert brought("redlock") == names_of(lines("requirements/redis.in"))
    assert names_of(lines("requirements/sidecar.in")) - {"boto3"} <= brought("sidecar")
    assert brought("sidecar") <= names_of(lines("requirements/sidecar.in")) | brought("redlock") | functions
    assert brought("spark") < names_of(lines("requirements/spark.in")) | functions
    every = set(PROJECT["optional-dependencies"]) - {"all", "spark"}
    assert brought("all") == set().union(*map(brought, every))


def test_the_lambda_layer_has_the_package_and_nothing_generated(tmp_path: Path) -> None:
    """Fails when the layer brings what no function runs, or what Python has compiled for us here.

    No function runs the rules for Spark, the gateway author's kit, the API's client and the shells' completions.

    Each module has its bytecode, which Python takes without a look at the source. Fails when a cold start compiles.
    """
    generated = PACKAGE / "reconciliation" / "matching" / "rules" / "generated" / "rules.zip"
    assert generated.exists() or run(sys.executable, REPOSITORY / "tools" / "compile_rules.py", cwd=REPOSITORY) == ""
    make = ("make", "-C", PACKAGE.parent, "build-PayonceLayer", f"PYTHON={sys.executable}")
    run(*make, f"ARTIFACTS_DIR={tmp_path}", cwd=tmp_path)
    copied = {path.relative_to(tmp_path / "python") for path in tmp_path.rglob("*") if path.is_file()}
    compiled = {path for path in copied if path.suffix == ".pyc"}
    not_run = ("payonce/gateways/check/", "payonce/client/", "payonce/cli/completions/")
    run_by_functions = {name for name in data_files() if not name.startswith(not_run)}
    assert {path.as_posix() for path in copied - compiled} == run_by_functions
    sources = {path for path in copied if path.suffix == ".py"}
    assert {Path(source_from_cache(str(path))) for path in compiled} == sources
    for path in compiled:
        header, code = (data := (tmp_path / "python" / path).read_bytes())[:16], data[16:]
        assert (header[:4], int.from_bytes(header[4:8], "little")) == (MAGIC_NUMBER, HASHED_AND_UNCHECKED)
        assert marshal.loads(code).co_filename == f"/opt/python/{source_from_cache(str(path))}"  # noqa: S302 - our own
