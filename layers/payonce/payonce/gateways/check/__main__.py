"""``python -m payonce.gateways.check MODULE[:NAME]``: run the contract suite against an adapter.

MODULE has a context manager ``vendor()`` (or NAME) that yields a ``Vendor``. Exit code: 0 when every promise that could
be tried was held, 1 when one is broken, 2 when the suite or one of its checks could not be run.
"""

from __future__ import annotations

import argparse
import logging
import sys
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING

from payonce.gateways.check import check_report as report
from payonce.gateways.check.every_check import CHECKS
from payonce.gateways.check.fault_proxy import running_fault_proxy
from payonce.gateways.check.stage import Stage
from payonce.gateways.check.verdicts import Check, Result, run_check

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from payonce.gateways.check.vendor import Vendor


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = _options(arguments)
    chosen = [check for check in CHECKS if options.only in check.name]
    if not chosen:
        return _not_run(f"no check has {options.only!r} in its name")
    if options.list:
        for check in chosen:
            _say(f"{check.name:<52} {check.expected}")
        return report.EXIT_HELD
    try:
        opened = _vendor(options.module)
        with _silence(), opened as vendor, running_fault_proxy(vendor.url) as proxy:
            stage = Stage(vendor, proxy)
            name = stage.gateway.name
            results = _run(chosen, stage, quiet=options.json)
    except Exception as error:
        return _not_run(f"{options.module}: {type(error).__name__}: {error}")
    if options.json:
        _say(report.as_json(name, results))
    else:
        for result in results:
            if result.verdict in report.AGAINST:
                _say(report.explained(result))
        _say(report.summary(results))
    return report.exit_code(results)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m payonce.gateways.check",
        description="Run the contract suite of the Gateway port against an adapter (docs/how-to-add-a-gateway.md).",
        epilog="Exit code: 0 every promise that could be tried was held, 1 one is broken, 2 a check could not be run.",
    )
    parser.add_argument("module", help="a module with a context manager vendor(), or MODULE:NAME for another name")
    parser.add_argument("--only", default="", metavar="TEXT", help="the checks with TEXT in their names")
    parser.add_argument("--json", action="store_true", help="print the results as JSON, at the end")
    parser.add_argument("--list", action="store_true", help="print the checks instead of running them")
    return parser.parse_args(arguments)


@contextmanager
def _silence() -> Iterator[None]:
    """Log nothing: the adapters report the faults that the checks commit, and they are no news here."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(disabled)


def _vendor(text: str) -> AbstractContextManager[Vendor]:
    module, _, name = text.partition(":")
    opened: AbstractContextManager[Vendor] = getattr(import_module(module), name or "vendor")()
    return opened


def _run(checks: Sequence[Check], stage: Stage, *, quiet: bool) -> list[Result]:
    results = []
    for number, check in enumerate(checks, start=1):
        result = run_check(check, stage)
        results.append(result)
        if not quiet:
            _say(report.line(result, number, len(checks)))
    return results


def _not_run(reason: str) -> int:
    sys.stderr.write(f"The suite could not be run: {reason}\n")
    return report.EXIT_NOT_RUN


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
