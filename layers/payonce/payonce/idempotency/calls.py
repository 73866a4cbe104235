"""A function call as a keyed request: which arguments form its key, and which must be equal when it is repeated."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import AsyncIterator, Awaitable, Iterator
from concurrent.futures import Future
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from payonce.idempotency.codecs import require_json
from payonce.idempotency.fingerprint import canonical_json, fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    type Select = Callable[[tuple[Any, ...], Mapping[str, Any]], Any]


def refuse_what_can_not_be_guarded(function: Callable[..., Any]) -> None:
    """Raise ``TypeError`` for generators: their effects happen during iteration, long after the call returned."""
    plain = function
    while isinstance(plain, functools.partial):
        plain = plain.func
    if inspect.isgeneratorfunction(plain) or inspect.isasyncgenfunction(plain):
        raise TypeError(
            "A generator can't be idempotent: it does its work while it is read, after the call has returned. Collect "
            "its items in a function, and guard that."
        )
    if not inspect.isfunction(plain):
        raise TypeError("Guard a function. Of a class, guard the method that has the effect.")


def goes_on(result: Any) -> bool:
    """Return whether ``result`` stands for unfinished work, such as an awaitable, an iterator or a Future."""
    return isinstance(result, (Awaitable, Iterator, AsyncIterator, Future))


def result_type_of(function: Callable[..., Any]) -> Any:
    """Return the annotated type of the result. Raises ``TypeError`` when it is missing or can't be resolved."""
    plain: Any = inspect.unwrap(function)
    while isinstance(plain, functools.partial):
        plain = plain.func
    annotation = getattr(plain, "__annotations__", {}).get("return", inspect.Signature.empty)
    if annotation is inspect.Signature.empty:
        raise TypeError("Annotate what the function returns: that it can be replayed is checked before it executes.")
    # The parameters' annotations are not resolved: their modules may be imported for type checking only.
    only_result = SimpleNamespace(__annotations__={"return": annotation})
    try:
        return typing.get_type_hints(only_result, plain.__globals__)["return"]
    except NameError as error:
        raise TypeError(f"The annotation of the result can't be looked up: {error}.") from None


def selector(what: str, choice: str | Callable[..., Any], signature: inspect.Signature) -> Select:
    """Return the function that extracts the key or scope from a call. Raises ``TypeError`` for an unknown parameter."""
    if callable(choice):
        chosen = choice
        return lambda args, kwargs: chosen(*args, **kwargs)
    if choice not in signature.parameters:
        raise TypeError(
            f"{what}={choice!r} is no parameter. Name one of {', '.join(signature.parameters)}, or give a "
            "function of the arguments."
        )

    def pick(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return bound.arguments[choice]

    return pick


def arguments_of(signature: inspect.Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments by name, with defaults: f(1), f(a=1), and f() where a defaults to 1 are the same call."""
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    return {
        name: list(value) if signature.parameters[name].kind is inspect.Parameter.VAR_POSITIONAL else value
        for name, value in bound.arguments.items()
    }


def fingerprint_of(operation: str, same: Any) -> str:
    """Return the fingerprint. Raises ``TypeError`` for arguments without a canonical form."""
    try:
        require_json(same)
        body = canonical_json(same)
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(
            f"The arguments can't be compared when the key comes again: {error}. Give fingerprint=, a function of the "
            "arguments that returns JSON."
        ) from None
    return fingerprint("CALL", operation, {}, body)
