"""The wheel is installed with each extra into an empty environment, and runs its example of docs/installing.md.

Without network: the packages come from .cache/wheelhouse, which ``make setup`` fills.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.aws import REPOSITORY
from tools.distribution.environments import build_wheel, empty_environment, install, site_packages
from tools.distribution.examples import PAGE, examples, run_example, running_servers
from tools.distribution.wheelhouse import LEFT_OUT, extras

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

EXAMPLES = examples()
PYTHONS = ("3.12", "3.13", "3.14")
# Only what has no compiled part: of the others the wheelhouse has the wheels for one Python.
ON_EVERY_PYTHON = ("", "redis")
WAY_IN = "from payonce import idempotent_operation, memory_store; memory_store()"
LIMIT_BYTES = 10_000_000  # with bytecode, which is half of it
LIMIT_MODULES = 250
VERIFYING = """
import os, time
from payonce.webhooks.signing import new_hmac_secret, webhook_headers
from payonce.webhooks.verify import Verifier

secret, body = new_hmac_secret(os.urandom), b'{"type": "payment.created"}'
headers = webhook_headers("evt_1", int(time.time()), body, [secret])
print(Verifier([secret.text()]).verify(headers, body).event["type"])
"""
TYPED = """
from typing import assert_type

from payonce import current_attempt, idempotent_operation, memory_store


@idempotent_operation(store=memory_store(), operation="ship", scope="shop", key="order", timeout_seconds=30)
def ship(shop: str, order: str, boxes: int = 1) -> dict[str, str]:
    return {"reference": current_attempt().reference}


assert_type(ship("shop-1", "4711", boxes=2), dict[str, str])
ship("shop-1", 4711)  # type: ignore[arg-type]
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the checkout."""
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def servers() -> Iterator[Mapping[str, str]]:
    """What the examples need."""
    with running_servers() as variables:
        yield variables


@pytest.fixture(scope="module")
def alone(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has payonce and nothing else."""
    python = empty_environment(tmp_path_factory.mktemp("alone") / "environment")
    install(python, wheel)
    return python


def pythons() -> dict[str, str]:
    """Return an interpreter of each supported version that this machine has; the running one is always there.

    PAYONCE_PYTHONS may name more of them, separated as in PATH.
    """
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    named = [path for path in os.environ.get("PAYONCE_PYTHONS", "").split(os.pathsep) if path]
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = {running: sys.executable}
    for version in PYTHONS:
        of_pyenv = sorted(str(path) for path in versions.glob(f"{version}.*/bin/python"))
        on_path = [path for path in (shutil.which(f"python{version}"),) if path]
        for candidate in (*named, *of_pyenv, *on_path):
            asked = subprocess.run(
                [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
                capture_output=True,
                text=True,
                check=False,
            )
            if asked.returncode == 0 and asked.stdout.strip() == version:  # pyenv's shims fail for another version
                found.setdefault(version, candidate)
    return found


FOUND = pythons()


def output(python: Path, code: str) -> str:
    """Return what the code prints in this environment."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, env=variables, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_each_extra_has_an_example() -> None:
    """Fails when an extra is added, or renamed, and the page does not say what it is for."""
    assert set(EXAMPLES) == {"", *extras()}
    text = PAGE.read_text()
    assert all(f"payonce[{extra}]" in text for extra in LEFT_OUT)
    rows = re.findall(r"^\| `payonce(?:\[(\w+)\])?` \|", text, re.MULTILINE)
    assert sorted(rows) == sorted(EXAMPLES), "make package-page"


@pytest.mark.parametrize("extra", [pytest.param(extra, id=extra or "alone") for extra in EXAMPLES])
def test_an_extra_runs_its_example(extra: str, wheel: Path, servers: Mapping[str, str], tmp_path: Path) -> None:
    """Fails when the extra lacks a package that its example needs, or the example does not do what it asserts."""
    python = empty_environment(tmp_path / "environment")
    install(python, wheel, extra)
    folder = tmp_path / "example"
    folder.mkdir()
    run_example(EXAMPLES[extra], python, folder, servers)


@pytest.mark.parametrize("version", sorted(FOUND))
@pytest.mark.parametrize("extra", ON_EVERY_PYTHON, ids=["alone", "redis"])
def test_the_library_runs_on(extra: str, version: str, wheel: Path, servers: Mapping[str, str], tmp_path: Path) -> None:
    """Fails when the library, the command or the verification needs another Python than the metadata says."""
    assert f"Programming Language :: Python :: {version}" in (REPOSITORY / "pyproject.toml").read_text()
    python = empty_environment(tmp_path / "environment", FOUND[version])
    install(python, wheel, extra)
    folder = tmp_path / "example"
    folder.mkdir()
    run_example(EXAMPLES[extra], python, folder, servers)
    assert output(python, VERIFYING).strip() == "payment.created"
    assert "reconcile" in output(python, "from payonce.cli.main import main; main(['--help'])")


def test_the_library_alone_is_small(alone: Path) -> None:
    """Fails when importing the way in brings a package, payment code or many modules, or the wheel grows.

    The processor time is in docs/installing.md; here the modules are counted, which no busy machine changes.
    """
    loaded = output(alone, f"import sys; {WAY_IN}; print(*sys.modules)").split()
    of_payonce = {name for name in loaded if name.startswith("payonce.")}
    rooms = {name.split(".")[1] for name in of_payonce}
    assert rooms == {"clock", "domain", "extras", "idempotency", "packing", "paging", "ports", "stores", "wiring"}
    assert not of_payonce & {f"payonce.domain.{name}" for name in ("payment", "ledger", "gateway", "money")}
    assert "asyncio" not in loaded  # a third of the time: programs with coroutines have it anyhow
    assert len(loaded) < LIMIT_MODULES
    installed = [path for path in site_packages(alone).rglob("*") if path.is_file()]
    assert {path.relative_to(site_packages(alone)).parts[0].partition("-")[0] for path in installed} == {"payonce"}
    output(alone, "import compileall, payonce; compileall.compile_dir(payonce.__path__[0], quiet=1)")
    files = (path for path in site_packages(alone).rglob("*") if path.is_file())
    assert sum(path.stat().st_size for path in files) < LIMIT_BYTES


def test_the_readme_runs(alone: Path) -> None:
    """Fails when the README's first program needs more than the README says, or does not do what it asserts."""
    [program] = re.findall(r"^```python\n(.*?)^```$", (REPOSITORY / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert program.count("\n") < 12
    output(alone, program)


def test_what_is_missing_is_named_with_its_extra(alone: Path) -> None:
    """Fails when a program gets a bare "No module named", or the command a traceback."""
    code = "import payonce\ntry:\n    payonce.redis_store('redis://127.0.0.1')\nexcept ModuleNotFoundError as error:\n"
    assert output(alone, f"{code}    print(error)").strip() == (
        "redis is not installed. It comes with: pip install 'payonce[redis]'"
    )
    for arguments, extra in (
        (("sidecar", "--config", "proxy.toml"), "sidecar"),
        (("reconcile", "--ledger", "ledger.csv"), "reconcile"),
        (("--stack", "payonce", "create-merchant", "My shop"), "dynamodb"),
        (("pay", "1", "EUR", "--api", "http://127.0.0.1:9"), "client"),
    ):
        command = [str(alone.with_name("payonce")), *arguments]
        environment = {**os.environ, "PAYONCE_API_KEY": "po_x"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 3
        assert f"pip install 'payonce[{extra}]'" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_users_program_is_typed(alone: Path, tmp_path: Path) -> None:
    """Fails when py.typed is missing, or a public name has no type of its own under mypy's strict mode."""
    program = tmp_path / "program.py"
    program.write_text(TYPED)
    mypy = (sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull, "--python-executable", str(alone))
    variables = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "MYPYPATH"}}
    done = subprocess.run([*mypy, program], cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_module_is_imported_or_names_its_extra(alone: Path) -> None:
    """Fails when a module can't be imported without an extra and does not say which, whatever it is imported for."""
    code = (
        "import importlib, payonce, pkgutil\n"
        "from payonce.domain.errors import PackageMissing\n"
        "for one in pkgutil.walk_packages(payonce.__path__, 'payonce.'):\n"
        "    if not one.name.endswith('__main__'):\n"
        "        try:\n"
        "            importlib.import_module(one.name)\n"
        "        except PackageMissing as missing:\n"
        "            print(one.name, missing.extra)\n"
    )
    asked = dict(line.split() for line in output(alone, code).splitlines())
    assert asked["payonce.stores.redis_idempotency"] == "redis"
    assert asked["payonce.gateways.stripe_gateway"] == "stripe"
    assert set(asked.values()) <= {*extras(), *LEFT_OUT}
    # The library, the verification of webhooks, and the command.
    free = ("payonce.idempotency.operation", "payonce.webhooks.verify", "payonce.webhooks.dedupe_sqlite")
    assert not asked.keys() & {*free, "payonce.wiring.library", "payonce.cli.main", "payonce.stores.memory"}
