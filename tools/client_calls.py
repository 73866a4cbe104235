"""Writes payonce.client's models and methods from openapi.json, or checks with ``--check`` that they are committed.

A route is added to the client by running this: what the API says is not written a second time.
"""

from __future__ import annotations

import json
import keyword
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
FOLDER = Path("layers/payonce/payonce/client/api")
SCHEMAS = "#/components/schemas/"
HEAD = "Made from openapi.json by tools/client_calls.py."
COMMON_HEADERS = {"X-Idempotency-Key", "Prefer", "Payonce-Not-Card-Numbers"}
OPTIONS = ("timeout_seconds", "intent", "idempotency_key", "not_card_numbers")  # reads have the first
METHODS = ("get", "post", "put", "patch", "delete")
MAX_LITERALS = 20  # beyond, such as currencies, a type would only be noise
PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
WIDTH = 110


@dataclass(frozen=True)
class Argument:
    """An argument of a method: how Python and the API name it, its type, and whether it has to be given."""

    name: str
    sent: str
    kind: str
    required: bool


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Return method, path and description of every operation that merchants call.

    Those that need no API key are called by gateways, which sign their requests instead.
    """
    return [
        (method.upper(), path, _inlined(item[method], document))
        for path, item in document["paths"].items()
        for method in METHODS
        if method in item and item[method].get("security") != []
    ]


def _inlined(operation: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """Return the operation with its parameters and answers themselves, where it refers to shared ones."""

    def target(part: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in part:
            _, kind, name = part["$ref"].removeprefix("#/").split("/")
            part = document["components"][kind][name]
        return part

    return {
        **operation,
        "parameters": [target(parameter) for parameter in operation.get("parameters", [])],
        "responses": {status: target(answer) for status, answer in operation["responses"].items()},
        "requestBody": target(operation.get("requestBody", {})),
    }


def python_name(name: str) -> str:
    """Return the name as Python can write it: ``class`` becomes ``class_``."""
    name = name.replace("-", "_").lower()
    return f"{name}_" if keyword.iskeyword(name) else name


def kind_of(schema: dict[str, Any], document: dict[str, Any]) -> str:
    """Return the Python type of a schema."""
    match schema:
        case {"$ref": str(reference)}:
            return _named(reference, document)
        case {"const": value}:
            return f"Literal[{value!r}]"
        case {"enum": list(values)}:
            return f"Literal[{', '.join(map(repr, values))}]" if len(values) <= MAX_LITERALS else "str"
        case {"anyOf": parts} | {"oneOf": parts} | {"allOf": parts}:
            return " | ".join(dict.fromkeys(kind_of(part, document) for part in parts))
        case {"type": list(names)}:
            return " | ".join(PLAIN.get(name, "Any") for name in names)
        case {"type": "array"}:
            return f"list[{kind_of(schema.get('items', {}), document)}]"
        case {"type": "object"}:
            further = schema.get("additionalProperties")
            return f"dict[str, {kind_of(further, document) if isinstance(further, dict) else 'Any'}]"
        case _:
            return PLAIN.get(schema.get("type", ""), "Any")


def _named(reference: str, document: dict[str, Any]) -> str:
    if not reference.startswith(SCHEMAS):
        return "str"  # a query's own definition, an enumeration of texts
    target = document["components"]["schemas"][reference.removeprefix(SCHEMAS)]
    return reference.removeprefix(SCHEMAS) if _has_name(target) else kind_of(target, document)


def _has_name(schema: dict[str, Any]) -> bool:
    """Return whether the schema becomes a type with a name: a document, or one of several documents."""
    return "properties" in schema or "oneOf" in schema or "anyOf" in schema


def models(document: dict[str, Any]) -> str:
    """Return the module of the API's documents as TypedDicts, which are dicts at run time: unknown members stay."""
    lines = [
        f'"""The API\'s documents. {HEAD}',
        "",
        "They are dicts: a later API's further members stay in them.",
        '"""',
    ]
    lines += [
        "",
        "from __future__ import annotations",
        "",
        "from typing import Any, Literal, NotRequired, TypedDict",
        "",
    ]
    for name, schema in document["components"]["schemas"].items():
        if name.endswith("Body") or not _has_name(schema):
            continue
        lines += ["", *_model(name, schema, document), ""]
    return "\n".join(lines)


def _model(name: str, schema: dict[str, Any], document: dict[str, Any]) -> list[str]:
    if "properties" not in schema:
        return [f"type {name} = {kind_of(schema, document)}"]
    required = set(schema.get("required", ()))
    members = {
        member: kind if member in required else f"NotRequired[{kind}]"
        for member, kind in ((each, kind_of(value, document)) for each, value in schema["properties"].items())
    }
    if all(python_name(member) == member for member in members):
        doc = _sentence(schema.get("description", "")) or f"What the API calls {name}."
        return [f"class {name}(TypedDict):", f'    """{doc}"""', *(f"    {m}: {k}" for m, k in members.items())]
    # A member's name that Python keeps for itself.
    quoted = [f"    {member!r}: {kind!r}," for member, kind in members.items()]
    return [f"{name} = TypedDict({name!r}, {{", *quoted, "})"]


def _sentence(text: str) -> str:
    return " ".join(text.replace("``", "`").split()).replace('"', "'")


def arguments(operation: dict[str, Any], path: str, document: dict[str, Any]) -> dict[str, list[Argument]]:
    """Return the arguments by where they go: path, query, header, body."""
    found: dict[str, list[Argument]] = {"path": [], "query": [], "header": [], "body": []}
    for parameter in operation.get("parameters", []):
        name = parameter["name"]
        if parameter["in"] == "header" and name in COMMON_HEADERS:
            continue
        kind = kind_of(parameter["schema"], document)
        required = parameter["in"] == "path" or parameter.get("required", False)
        found[parameter["in"]].append(Argument(python_name(name), name, kind, required))
    found["path"].sort(key=lambda argument: path.index(f"{{{argument.sent}}}"))
    body = _resolved(operation.get("requestBody", {}).get("content", {}).get("application/json", {}), document)
    needed = set(body.get("required", ()))
    for name, schema in body.get("properties", {}).items():
        found["body"].append(Argument(python_name(name), name, kind_of(schema, document), name in needed))
    names = [argument.name for place in found.values() for argument in place]
    reserved = OPTIONS if is_keyed(operation) else OPTIONS[:1]
    if len(set(names) | set(reserved)) != len(names) + len(reserved):
        raise ValueError(f"{path}: two arguments of one name among {names}")
    return found


def _resolved(media: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = media.get("schema", {})
    reference = schema.get("$ref", "")
    return document["components"]["schemas"][reference.removeprefix(SCHEMAS)] if reference else schema


def success(operation: dict[str, Any], document: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the type of a successful answer, and its schema."""
    for status, response in sorted(operation["responses"].items()):
        if status.startswith("2"):
            media = response.get("content", {}).get("application/json", {})
            return kind_of(media.get("schema", {}), document), _resolved(media, document)
    return "Any", {}


def is_keyed(operation: dict[str, Any]) -> bool:
    """Return whether the operation takes an idempotency key."""
    return any(parameter["name"] == "X-Idempotency-Key" for parameter in operation.get("parameters", []))


def objects_of(schema: dict[str, Any]) -> list[str]:
    """Return which ``object`` a document of this schema may have."""
    named = schema.get("properties", {}).get("object", {})
    return list(named.get("enum", [])) or ([named["const"]] if "const" in named else [])


def paging(operation: dict[str, Any], schema: dict[str, Any]) -> tuple[str, str] | None:
    """Return a list's parameter for the next page, and the member that names it; ``None`` for what has no pages."""
    names = {parameter["name"] for parameter in operation.get("parameters", [])}
    members = schema.get("properties", {})
    pairs = (("cursor", "next_cursor"), ("after", "next_after"))
    return next(((name, member) for name, member in pairs if name in names and member in members), None)


def calls(document: dict[str, Any], *, is_async: bool) -> str:
    """Return the module of the methods, sync or async."""
    name, kind = ("AsyncCalls", "async") if is_async else ("Calls", "sync")
    types = sorted(n for n, s in document["components"]["schemas"].items() if _has_name(s) and not n.endswith("Body"))
    iterator = "AsyncIterator" if is_async else "Iterator"
    methods: list[str] = []
    for method, path, operation in operations(document):
        methods += _method(method, path, operation, document, is_async=is_async)
    text = "\n".join(methods)
    used = [each for each in types if f"{each}]" in text or f"-> {each}:" in text]
    definitions = "" if is_async else _definitions(document)
    own = "from payonce.client.call import given, make_call"
    if is_async:
        own += "\nfrom payonce.client.api import calls as operations"
    else:
        own = "from payonce.client.call import Route, given, make_call"
    return f'''"""The {kind} methods, one an operation of the API. {HEAD}"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Literal, Unpack, cast

{own}

if TYPE_CHECKING:
    from collections.abc import {iterator}, Mapping

    from payonce.client.call import Answer, Call, ReadOptions, WriteOptions
    from payonce.client.api.models import {", ".join(used)}

{definitions}

class {name}(ABC):
    """The {kind} methods. Each raises a ``ClientError`` (payonce.client.errors)."""

    @abstractmethod
    {"async " if is_async else ""}def _read(self, call: Call, options: Mapping[str, Any]) -> Any: ...

    @abstractmethod
    {"async " if is_async else ""}def _write(self, call: Call, options: Mapping[str, Any]) -> Answer[Any]: ...

{text}
'''


def _definitions(document: dict[str, Any]) -> str:
    lines = []
    for method, path, operation in operations(document):
        _, schema = success(operation, document)
        objects = ", ".join(map(repr, objects_of(schema)))
        named = f", frozenset({{{objects}}})" if objects else ""
        operation_id = operation["operationId"]
        lines.append(
            f"{operation_id.upper()} = Route({operation_id!r}, {method!r}, {path!r}, {is_keyed(operation)}{named})"
        )
    return "\n".join(lines) + "\n"


def _method(
    method: str, path: str, operation: dict[str, Any], document: dict[str, Any], *, is_async: bool
) -> list[str]:
    found = arguments(operation, path, document)
    kind, schema = success(operation, document)
    keyed, name = is_keyed(operation), operation["operationId"]
    await_, async_ = ("await ", "async ") if is_async else ("", "")
    constant = f"operations.{name.upper()}" if is_async else name.upper()
    by_name = [*found["body"], *found["query"], *found["header"]]
    by_name = sorted(by_name, key=lambda argument: not argument.required)
    star = ", *" if by_name else ""
    signature = "self" + "".join(f", {each.name}: {each.kind}" for each in found["path"]) + star
    signature += "".join(f", {each.name}: {_optional(each)}" for each in by_name)
    options = "WriteOptions" if keyed else "ReadOptions"
    returned = f"Answer[{kind}]" if keyed else kind
    made = _made(method, found, constant)
    step = f"{await_}self._write({made}, options)" if keyed else f"{await_}self._read({made}, options)"
    lines = [
        f"    {async_}def {name}({signature}, **options: Unpack[{options}]) -> {returned}:",
        *_docstring(operation, kind, keyed=keyed),
        f"        return cast({returned!r}, {step})" if returned != "Any" else f"        return {step}",
        "",
    ]
    pages = paging(operation, schema)
    return lines + (_iterator(name, found, schema, pages, document, is_async=is_async) if pages else [])


def _optional(argument: Argument) -> str:
    if argument.required:
        return argument.kind
    return f"{argument.kind} = None" if "None" in argument.kind.split(" | ") else f"{argument.kind} | None = None"


def _made(method: str, found: dict[str, list[Argument]], constant: str) -> str:
    def pairs(each: list[Argument]) -> str:
        return "{" + ", ".join(f"{argument.sent!r}: {argument.name}" for argument in each) + "}"

    parts = [constant]
    if found["path"]:
        parts.append(f"path={pairs(found['path'])}")
    if found["query"]:
        parts.append(f"query={pairs(found['query'])}")
    if found["body"]:
        required, optional = ([a for a in found["body"] if a.required is needed] for needed in (True, False))
        parts.append(f"body=given({pairs(required)}, {pairs(optional)})")
    elif method in {"POST", "PUT", "PATCH"}:
        parts.append("body={}")
    if found["header"]:
        parts.append(f"headers={pairs(found['header'])}")
    return f"make_call({', '.join(parts)})"


def _docstring(operation: dict[str, Any], kind: str, *, keyed: bool) -> list[str]:
    summary = _sentence(operation.get("summary", operation["operationId"])).rstrip(".") + "."
    text = _sentence(operation.get("description", ""))
    ends = "Raises ``Declined`` and the other ends of payonce.client.errors." if keyed else ""
    body = textwrap.wrap(" ".join(part for part in (text, ends) if part), WIDTH)
    return (
        [f'        """{summary}', "", *(f"        {line}" for line in body), '        """']
        if body
        else [f'        """{summary}"""']
    )


def _iterator(
    name: str,
    found: dict[str, list[Argument]],
    schema: dict[str, Any],
    pages: tuple[str, str],
    document: dict[str, Any],
    *,
    is_async: bool,
) -> list[str]:
    parameter, member = pages
    item = kind_of(schema["properties"]["data"].get("items", {}), document)
    await_, async_, iterator = ("await ", "async ", "AsyncIterator") if is_async else ("", "", "Iterator")
    signature = "self" + "".join(f", {each.name}: {each.kind}" for each in found["path"]) + ", *"
    named = sorted(found["query"], key=lambda argument: not argument.required)
    signature += "".join(f", {each.name}: {_optional(each)}" for each in named)
    handed = ", ".join([*(a.name for a in found["path"]), *(f"{a.name}={a.name}" for a in found["query"])])
    more = ' or not page["has_more"]' if "has_more" in schema["properties"] else ""
    loop = ['            yield from page["data"]']
    if is_async:
        loop = ['            for item in page["data"]:', "                yield item"]
    iterated = f"each_{name.removeprefix('list_')}"
    return [
        f"    {async_}def {iterated}({signature}, **options: Unpack[ReadOptions]) -> {iterator}[{item}]:",
        f'        """Yield every item of ``{name}``, from ``{parameter}`` on. A page is read when it is needed."""',
        "        while True:",
        f"            page = {await_}self.{name}({handed}, **options)",
        *loop,
        f'            {parameter} = page.get("{member}")',
        f"            if not {parameter}{more}:",
        "                return",
        "",
    ]


def made(document: dict[str, Any]) -> dict[str, str]:
    """Return the generated files by name, formatted."""
    files = {
        "models.py": models(document),
        "calls.py": calls(document, is_async=False),
        "async_calls.py": calls(document, is_async=True),
    }
    return {name: _formatted(name, text) for name, text in files.items()}


def _formatted(name: str, text: str) -> str:
    path = str(REPOSITORY / FOLDER / name)
    for command in (["check", "--fix-only", "--quiet"], ["format"]):
        done = subprocess.run(  # noqa: S603 - our own linter
            [sys.executable, "-m", "ruff", *command, "--stdin-filename", path, "-"],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            cwd=REPOSITORY,
        )
        if done.returncode:
            raise SystemExit(done.stderr)
        text = done.stdout
    return text


def main() -> int:
    """Write the files and return 0, or with ``--check`` return 1 when a committed one differs."""
    document = json.loads((REPOSITORY / "openapi.json").read_text())
    folder = REPOSITORY / FOLDER
    texts = made(document)
    stale = [n for n, text in texts.items() if not (folder / n).exists() or (folder / n).read_text() != text]
    if "--check" in sys.argv:
        for name in stale:
            print(f"{FOLDER / name} is not what openapi.json says; run: python tools/client_calls.py", file=sys.stderr)
        return 1 if stale else 0
    for name in stale:
        (folder / name).write_text(texts[name])
        print(f"wrote {FOLDER / name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
