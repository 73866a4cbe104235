"""The local cloud of a checkout, as the command sees it: where it is, how to reach it, and an API key for it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import payonce

if TYPE_CHECKING:
    from collections.abc import Mapping

STACK: Final = "payonce-local"  # as samconfig.toml names it
CLOUD_PORT_VARIABLE: Final = "PAYONCE_CLOUD_PORT"
PORTS: Final = {CLOUD_PORT_VARIABLE: 4566, "PAYONCE_BANK_PORT": 4700, "PAYONCE_RECEIVER_PORT": 4800}
# The root credentials of the local cloud, which are worthless anywhere else.
CREDENTIALS: Final = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_REGION": "eu-central-1",
}
_OTHER_CREDENTIALS: Final = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")


def checkout(start: Path | None = None) -> Path | None:
    """Return the checkout that this package is of, else that around ``start`` (the present folder), else ``None``."""
    package = Path(payonce.__file__).resolve()
    here = (start or Path.cwd()).resolve()
    for folder in (*package.parents, here, *here.parents):
        if (folder / "Makefile").is_file() and (folder / "local" / "command.py").is_file():
            return folder
    return None


def port(environment: Mapping[str, str], variable: str = CLOUD_PORT_VARIABLE) -> int:
    """Return the port of the local cloud, or of the bank or the receiver beside it; the usual one for a bad number."""
    text = environment.get(variable) or ""
    return int(text) if text.isascii() and text.isdecimal() else PORTS[variable]


def endpoint_url(environment: Mapping[str, str]) -> str:
    """Return the endpoint of the local cloud for AWS clients."""
    return f"http://127.0.0.1:{port(environment)}"


def variables(environment: Mapping[str, str]) -> dict[str, str | None]:
    """Return the variables with which the SDK uses the local cloud; ``None`` for those that would lead elsewhere."""
    return {
        **dict.fromkeys(_OTHER_CREDENTIALS),
        **CREDENTIALS,
        "AWS_ENDPOINT_URL": endpoint_url(environment),
    }


def folder_of(environment: Mapping[str, str]) -> Path | None:
    """Return the folder with the pid files and logs of the local cloud on the environment's port."""
    found = checkout()
    return None if found is None else found / ".local" / f"stack-{port(environment)}"


def kept_api_key(folder: Path, api_url: str) -> str:
    """Return the API key kept for this API, or "". A cloud that was started anew has another API, and no old key."""
    try:
        kept = json.loads((folder / "api-key.json").read_text())
    except (OSError, ValueError):
        return ""
    return str(kept["api_key"]) if kept.get("api_url") == api_url else ""


def keep_api_key(folder: Path, api_url: str, api_key: str) -> None:
    """Keep an API key of the local cloud for the commands that follow. Only this user can read it."""
    file = folder / "api-key.json"
    folder.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as opened:
        json.dump({"api_url": api_url, "api_key": api_key}, opened)
