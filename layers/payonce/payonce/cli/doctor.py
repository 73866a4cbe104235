"""``doctor``: looks at this machine, the checkout, the credentials and the stack, and names each cure.

It needs no package beyond Python's own, so that it works where nothing is installed. It says everything at once, and
its exit code is for scripts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.cli import doctor_machine, doctor_stack
from payonce.cli.findings import Finding, State
from payonce.cli.output import Exit, listed, tell

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

NAME_WIDTH = 15  # of the longest name
LOOKS_ITSELF = True  # a stack that can't be read is a finding, not the end


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of ``doctor``."""
    doctor = commands.add_parser(
        "doctor", epilog="Exit codes: 0 if nothing is wrong, 1 if something is. What is only noted is not wrong."
    )
    doctor.add_argument("--sam-local", action="store_true", help="look also at what `make sam-local` needs: Docker")


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Look at everything and return 0, or 1 if there is a problem."""
    found = [*doctor_machine.look(environment, stack=options.stack, sam_local=options.sam_local)]
    found += doctor_stack.look(options.stack, environment)
    problems = sum(each.state is State.PROBLEM for each in found)
    verdict = f"{problems} problem{'' if problems == 1 else 's'}" if problems else "nothing is wrong"
    text = "".join(line_of(each) for each in found) + verdict
    tell(options, listed(found, problems=problems), text)
    return Exit.FOUND if problems else Exit.DONE


def line_of(finding: Finding) -> str:
    """Return a finding's line, and the line of its cure."""
    mark = {State.OK: "ok      ", State.NOTE: "note    ", State.PROBLEM: "PROBLEM "}[finding.state]
    cure = f"         {' ' * NAME_WIDTH}  mend: {finding.cure}\n" if finding.cure else ""
    return f"{mark} {finding.name:<{NAME_WIDTH}}  {finding.detail}\n{cure}"
