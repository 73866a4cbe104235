"""template.yaml as the benchmark needs it: tables and indexes, and what starts which function with which variables."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks.units.charges import Index, Schema
from tests.support.aws import load_template

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_PLACEHOLDER = re.compile(r"\$\{([^}]+)\}")
_PSEUDO = {"AWS::Region": "eu-central-1", "AWS::AccountId": "000000000000", "AWS::Partition": "aws"}


@dataclass(frozen=True, slots=True)
class Source:
    """An event source of a function: its type in the template and its properties, resolved."""

    kind: str
    properties: Mapping[str, Any]

    @property
    def batch_size(self) -> int:
        """Return how many records or messages an invocation gets at most."""
        return int(self.properties.get("BatchSize", 10 if self.kind == "SQS" else 100))

    def accepts(self, record: Mapping[str, Any]) -> bool:
        """Return whether the source's filters let ``record`` through; without filters all pass."""
        filters = self.properties.get("FilterCriteria", {}).get("Filters", [])
        return not filters or any(_matches(json.loads(one["Pattern"]), record) for one in filters)


@dataclass(frozen=True, slots=True)
class Function:
    """A function: its folder, its handler's name, its variables, event sources that are enabled, memory and timeout."""

    name: str
    folder: str
    handler: str
    variables: Mapping[str, str]
    sources: tuple[Source, ...]
    memory_gb: float
    timeout_ms: int


@dataclass
class Template:
    """template.yaml with the values of its ``parameters``; queues have their URLs under ``queues_url``.

    A table's and a queue's name is its logical id.
    """

    parameters: Mapping[str, str]
    queues_url: str
    document: dict[str, Any] = field(default_factory=load_template)

    def tables(self) -> dict[str, dict[str, Any]]:
        """Return the ``CreateTable`` request of every table, by name."""
        members = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
        return {
            name: {
                "TableName": name,
                **{member: properties[member] for member in members if member in properties},
            }
            for name, properties in self._of_type("AWS::DynamoDB::Table")
        }

    def schemas(self) -> dict[str, Schema]:
        """Return every table's keys and indexes, by name."""
        return {name: schema_of(name, properties) for name, properties in self._of_type("AWS::DynamoDB::Table")}

    @property
    def architecture(self) -> str:
        """Return the processor of the functions, which has a price of its own."""
        return str(self.document["Globals"]["Function"]["Architectures"][0])

    def functions(self) -> list[Function]:
        """Return every function whose condition holds."""
        shared = self.document["Globals"]["Function"]
        return [
            Function(
                name=name,
                folder=properties["CodeUri"],
                handler=properties.get("Handler", shared["Handler"]).removeprefix("app."),
                variables={
                    variable: str(self.resolve(value))
                    for variable, value in {
                        **shared["Environment"]["Variables"],
                        **properties.get("Environment", {}).get("Variables", {}),
                    }.items()
                },
                sources=tuple(self._sources(properties)),
                memory_gb=int(properties.get("MemorySize", shared["MemorySize"])) / 1024,
                timeout_ms=int(properties.get("Timeout", shared["Timeout"])) * 1000,
            )
            for name, properties in self._of_type("AWS::Serverless::Function")
        ]

    def _sources(self, properties: dict[str, Any]) -> Iterator[Source]:
        for event in properties.get("Events", {}).values():
            source = Source(event["Type"], self.resolve(event.get("Properties", {})))
            disabled = source.properties.get("Enabled") is False or source.properties.get("State") == "DISABLED"
            if not disabled:
                yield source

    def _of_type(self, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, resource in self.document["Resources"].items():
            if resource["Type"] == kind and ("Condition" not in resource or self._holds(resource["Condition"])):
                yield name, resource["Properties"]

    def _holds(self, condition: Any) -> bool:
        if isinstance(condition, str):
            return self._holds(self.document["Conditions"][condition])
        ((kind, value),) = condition.items()
        match kind:
            case "Condition":
                return self._holds(value)
            case "Equals":
                one, other = (self.resolve(side) for side in value)
                return bool(one == other)
            case "Not":
                return not self._holds(value[0])
            case "And":
                return all(self._holds(part) for part in value)
            case "Or":
                return any(self._holds(part) for part in value)
        raise ValueError(f"{kind} is no condition")

    def resolve(self, value: Any) -> Any:
        """Return ``value`` with the intrinsic functions in it evaluated."""
        if isinstance(value, list):
            return [self.resolve(member) for member in value]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((kind, content),) = value.items()
            match kind:
                case "Ref":
                    return self._reference(content)
                case "GetAtt":
                    return content
                case "If":
                    return self.resolve(content[1] if self._holds(content[0]) else content[2])
                case "Sub":
                    text, given = (content, {}) if isinstance(content, str) else content
                    return _PLACEHOLDER.sub(lambda found: str(given.get(found[1]) or self._reference(found[1])), text)
                case "FindInMap":
                    first, second, third = (self.resolve(part) for part in content)
                    return self.document["Mappings"][first][second][third]
        return {name: self.resolve(member) for name, member in value.items()}

    def _reference(self, name: str) -> str:
        if name in self.document["Parameters"]:
            return str(self.parameters.get(name, self.document["Parameters"][name].get("Default", "")))
        resource = self.document["Resources"].get(name)
        if resource is not None and resource["Type"] == "AWS::SQS::Queue":
            return f"{self.queues_url}/{_PSEUDO['AWS::AccountId']}/{name}"
        return _PSEUDO.get(name, name)


def schema_of(name: str, properties: Mapping[str, Any]) -> Schema:
    """Return the keys and indexes of a table with these properties of CloudFormation or of ``CreateTable``."""
    indexes = tuple(
        Index(index["IndexName"], _key(index), _projected(index["Projection"]))
        for index in properties.get("GlobalSecondaryIndexes", [])
    )
    stream = properties.get("StreamSpecification", {}).get("StreamViewType", "")
    return Schema(name, _key(properties), indexes, stream)


def _key(properties: Mapping[str, Any]) -> tuple[str, ...]:
    ordered = sorted(properties["KeySchema"], key=lambda part: part["KeyType"] != "HASH")
    return tuple(part["AttributeName"] for part in ordered)


def _projected(projection: Mapping[str, Any]) -> frozenset[str] | None:
    return None if projection["ProjectionType"] == "ALL" else frozenset(projection.get("NonKeyAttributes", []))


def _matches(pattern: Any, value: Any) -> bool:
    """Return whether ``value`` fits a pattern of Lambda's event filtering: members, and lists of accepted values."""
    if isinstance(pattern, dict):
        present = value if isinstance(value, dict) else {}
        return all(_matches(part, present.get(name)) for name, part in pattern.items())
    return any(_is_one(accepted, value) for accepted in pattern)


def _is_one(accepted: Any, value: Any) -> bool:
    if not isinstance(accepted, dict):
        return bool(accepted == value)
    ((rule, operand),) = accepted.items()
    match rule:
        case "exists":
            return (value is not None) is operand
        case "prefix":
            return isinstance(value, str) and value.startswith(operand)
        case "anything-but":
            return value is not None and value not in operand
    raise ValueError(f"the filter rule {rule} is not known here")
