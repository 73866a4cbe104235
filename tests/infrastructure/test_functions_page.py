"""functions/README.md says where each route goes: it is complete and true, against template.yaml and the code."""

from __future__ import annotations

import ast
import importlib
import json
import re
from functools import partial
from itertools import chain
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from payonce.entrypoints.http import KeyedRoute, ReadRoute
from payonce.entrypoints.routes import ROUTES
from payonce.payments.cancel_waiting import follow_up_work
from payonce.payments.follow_up import FollowUp
from tests.support.aws import REPOSITORY, load_template

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (REPOSITORY / "functions/README.md").read_text("utf-8")
RESOURCES = load_template()["Resources"]
FUNCTIONS = {
    name: resource["Properties"]
    for name, resource in RESOURCES.items()
    if resource["Type"] == "AWS::Serverless::Function"
}


CONSOLE = "functions/console"


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table under ``heading``, without its head and without backquotes."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in lines[1:]]


def declared(function: Any) -> FunctionType:
    """Return the function that is written in the module of routes."""
    return function.func if isinstance(function, partial) else function


def called(function: Any) -> set[Any]:
    """Return what is named in the function that a route is declared with: where it can hand on to."""
    given = function.args if isinstance(function, partial) else ()
    body = declared(function)
    names = list(_names(body.__code__))
    found = {body.__globals__[name] for name in names if _is_hashable(body.__globals__.get(name))}
    within = [getattr(one, name, None) for one in found if isinstance(one, ModuleType) for name in names]
    return {one for one in chain(found, within, given) if _is_hashable(one)}


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _is_hashable(value: Any) -> bool:
    return value is not None and type(value).__hash__ is not None


def symbol(text: str) -> Any:
    """Return what a cell such as ``payments/create.py: CreatePayment`` names."""
    path, name = text.split(": ")
    return getattr(importlib.import_module("payonce." + path.removesuffix(".py").replace("/", ".")), name)


def deployed_routes(*, of_the_console: bool) -> list[list[str]]:
    """Return the cells of route, function and handler, in the template's order."""
    return [
        [f"{event['Properties']['Method']} {event['Properties']['Path']}", name, f"{function['CodeUri']}/{handler}"]
        for name, function in FUNCTIONS.items()
        if (handler := function.get("Handler")) and (function["CodeUri"] == CONSOLE) == of_the_console
        for event in function["Events"].values()
    ]


def test_every_route_of_the_template_is_there_once_in_its_order() -> None:
    """Fails when a route is added, removed, or gets another function or handler, and the page does not say so."""
    deployed = deployed_routes(of_the_console=False)
    assert len(deployed) == len(ROUTES)
    assert [[route, name, f"functions/{handler}"] for route, name, handler, _, _ in rows("Routes")] == deployed


def test_every_path_of_the_console_is_there_once_in_its_order() -> None:
    deployed = deployed_routes(of_the_console=True)
    assert [[path, name, f"functions/{handler}"] for path, name, handler in rows("The console")] == deployed


@pytest.mark.parametrize("row", rows("Routes"), ids=lambda row: row[1])
def test_the_entrypoint_and_the_use_case_are_the_routes_own(row: list[str]) -> None:
    """Fails when the page names another function than the one that serves, or a use case that it does not call."""
    _, _, handler, entrypoint, use_case = row
    route = ROUTES[handler.split("/app.")[1]]
    assert isinstance(route, KeyedRoute | ReadRoute)
    serves = route.work if isinstance(route, KeyedRoute) else route.read
    path, name = entrypoint.split(": ")
    body = declared(serves)
    assert "payonce." + path.removesuffix(".py").replace("/", ".") == body.__module__
    assert name == body.__qualname__.split(".")[0]
    case = symbol(use_case)
    assert case in called(serves)
    # Only what implements Work is executed for an unsafe method; a read is a function.
    made = FollowUp if case is follow_up_work else case
    assert (isinstance(made, type) and hasattr(made, "resume")) == isinstance(route, KeyedRoute)


def sources(function: dict[str, Any]) -> set[str]:
    """Return the schedules and the logical names of the queues, tables, buckets and APIs that invoke a function."""
    of = [event["Properties"] for event in function.get("Events", {}).values()]
    text = json.dumps([each.get(member) for each in of for member in ("Stream", "Queue", "Bucket", "RestApiId")])
    return set(re.findall(r"\w+(?=\.\w*Arn\b)|(?<=\"Ref\": \")\w+", text)) | {
        each["Schedule"] for each in of if "Schedule" in each
    }


def test_every_other_function_is_there() -> None:
    """Fails when a function that serves no route of the API is added or removed, and the page does not say so."""
    others = {
        name: f"{function['CodeUri']}/app.py" for name, function in FUNCTIONS.items() if "Handler" not in function
    }
    assert {name: f"functions/{module}" for _, name, module, _ in rows("Everything else")} == others


@pytest.mark.parametrize("row", rows("Everything else"), ids=lambda row: row[1])
def test_what_invokes_another_function_and_what_it_does_are_as_they_say_themselves(row: list[str]) -> None:
    """Fails when the page names another source than template.yaml, or other words than the module's docstring."""
    invoked_by, name, module, does = row
    assert {source for source in sources(FUNCTIONS[name]) if source not in invoked_by} == set()
    for other in (set(RESOURCES) & set(re.findall(r"\w+", invoked_by))) - sources(FUNCTIONS[name]):
        assert f'"{name}.Arn"' in json.dumps(RESOURCES[other])
    docstring = ast.get_docstring(ast.parse((REPOSITORY / "functions" / module).read_text("utf-8")))
    assert docstring is not None
    assert does == docstring
