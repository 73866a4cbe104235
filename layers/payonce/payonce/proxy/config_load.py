"""Reads the configuration. An error names the file, the place in it, and the mistake."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import MisconfiguredError
from payonce.extras import needs
from payonce.proxy.config import ProxyConfig

with needs("sidecar"):
    from pydantic import ValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping

FROM_ENVIRONMENT = "env:"


def load_file(path: str | Path, environment: Mapping[str, str]) -> ProxyConfig:
    """Return the configuration in a TOML file (or JSON, by the file extension). Raises ``MisconfiguredError``."""
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MisconfiguredError(f"{file}: the file can't be read: {error}") from None
    return parse(text, environment, source=str(file), toml=file.suffix != ".json")


def parse(text: str, environment: Mapping[str, str], *, source: str, toml: bool = False) -> ProxyConfig:
    """Return the configuration in ``text``. ``source`` names it in errors. Raises ``MisconfiguredError``.

    A header's value ``env:NAME`` is replaced by the variable in ``environment``.
    """
    try:
        data: Any = tomllib.loads(text) if toml else json.loads(text)
    except ValueError as error:
        raise MisconfiguredError(f"{source}: not {'TOML' if toml else 'JSON'}: {error}") from None
    _fill_headers(data, environment, source, "")
    try:
        # TOML and JSON have lists where the models have tuples; validating as JSON accepts those and stays strict.
        return ProxyConfig.model_validate_json(json.dumps(data, default=str))
    except ValidationError as error:
        raise MisconfiguredError("\n".join(_lines(source, error))) from None


def _fill_headers(data: Any, environment: Mapping[str, str], source: str, place: str) -> None:
    """Replace ``env:`` values in every table called headers, in place."""
    if isinstance(data, list):
        for index, member in enumerate(data):
            _fill_headers(member, environment, source, f"{place}{index}.")
    if not isinstance(data, dict):
        return
    for name, member in data.items():
        _fill_headers(member, environment, source, f"{place}{name}.")
        if name == "headers" and isinstance(member, dict):
            for header, value in member.items():
                if isinstance(value, str) and value.startswith(FROM_ENVIRONMENT):
                    variable = value.removeprefix(FROM_ENVIRONMENT)
                    if not environment.get(variable):
                        raise MisconfiguredError(f"{source}: {place}headers.{header}: {variable} is not set")
                    member[header] = environment[variable]


def _lines(source: str, error: ValidationError) -> list[str]:
    lines = []
    for one in error.errors(include_url=False, include_input=False):
        place = ".".join(str(part) for part in one["loc"])
        message = one["msg"].removeprefix("Value error, ")
        if one["type"] == "extra_forbidden":
            message = "there is no such setting"
        lines.append(f"{source}: {place + ': ' if place else ''}{message}")
    return lines
