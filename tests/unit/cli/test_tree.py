"""Every command that there is, by the parser's own tree, so that a new one can't be forgotten."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from importlib import import_module

import pytest

from payonce.cli import main as cli
from payonce.cli.families import BY_NAME, FAMILIES, SPELLINGS, family_of, leaves, make_parser, spelled
from payonce.cli.output import Exit, as_json, listed
from payonce.cli.stack import way_to
from payonce.ports import Table

LEAVES = dict(leaves(make_parser(whole=True)))
# One writes its log, the other a script; `audit export` and `reconcile` have a --json of their own.
WITHOUT_JSON = {("sidecar",), ("completion",)}


def name_of(path: tuple[str, ...]) -> str:
    return " ".join(path)


def test_the_commands_of_the_product_are_there() -> None:
    """Fails when one that is promised is renamed."""
    for words in (
        "up", "down", "status", "demo", "doctor", "pay", "refund", "events tail", "webhooks listen", "webhooks verify",
        "merchants create", "keys create", "keys revoke", "idempotency-keys show", "gateways list", "reconcile",
        "breaks list", "corrections list", "routing show", "ledger export", "redrive",
    ):  # fmt: skip
        assert tuple(words.split()) in LEAVES


@pytest.mark.parametrize("family", sorted({path[0] for path in LEAVES if len(path) > 1}))
def test_a_family_without_its_command_is_told_by_the_word_of_the_help(
    family: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fails when the message holds a name of the code's own, such as ``ledger_command``."""
    with pytest.raises(SystemExit):
        cli.main([family])
    assert "the following arguments are required: COMMAND\n" in capsys.readouterr().err


@pytest.mark.parametrize("path", LEAVES, ids=name_of)
def test_help_says_what_a_command_is_for(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """Fails when a command, or an argument of it, is not explained, or its help is a traceback."""
    with pytest.raises(SystemExit) as left:
        cli.main([*path, "--help"])
    out = capsys.readouterr().out
    assert (left.value.code, out.startswith("usage: payonce")) == (0, True)
    leaf = LEAVES[path]
    unexplained = [
        action.dest for action in leaf._actions if action.option_strings and not action.help and action.dest != "help"
    ]
    assert unexplained == []
    known = BY_NAME[path[0]].help
    assert (known and known[0].islower()) or known.startswith("`")


@pytest.mark.parametrize("path", LEAVES, ids=name_of)
def test_every_command_has_json_and_those_about_a_stack_take_its_name(path: tuple[str, ...]) -> None:
    options = LEAVES[path]._option_string_actions
    assert ("--json" in options) == (path not in WITHOUT_JSON)
    assert ("--stack" in options) == BY_NAME[path[0]].stack


@pytest.mark.parametrize("path", LEAVES, ids=name_of)
def test_a_wrong_word_is_refused_with_2_and_what_to_do(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when a shortened or unknown option is taken, or the error is no document where one was asked for."""
    with pytest.raises(SystemExit) as left:
        cli.main([*path, "--no-such-option"])
    error = capsys.readouterr().err
    assert (left.value.code, "next: payonce" in error) == (Exit.REFUSED, True)
    monkeypatch.setattr(sys, "argv", ["payonce", *path, "--no-such-option", "--json"])
    with pytest.raises(SystemExit):
        cli.main()
    document = json.loads(capsys.readouterr().err)["error"]
    assert (document["problem"], document["exit_code"]) == ("usage", 2)
    assert document["next"].endswith("--help")


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_family_alone_has_the_same_commands_as_the_whole_tree(family: object) -> None:
    """Fails when a family that is loaded alone lacks an option that the reference page has."""
    found = BY_NAME[family.name]  # type: ignore[attr-defined]
    alone = {path: leaf for path, leaf in leaves(make_parser(found)) if path[0] == found.name}
    assert alone.keys() == {path for path in LEAVES if path[0] == found.name}
    for path, leaf in alone.items():
        assert leaf.format_help() == LEAVES[path].format_help()
    assert callable(import_module(f"payonce.cli.{found.module}").run)


@pytest.mark.parametrize("before", SPELLINGS, ids=name_of)
def test_older_names_work_behind_options_and_are_shown_nowhere(before: tuple[str, ...]) -> None:
    now = SPELLINGS[before]
    assert spelled(["--stack", "key", *before, "key"]) == ["--stack", "key", *now, "key"]
    assert family_of(spelled(before)) is BY_NAME[now[0]]
    assert before not in LEAVES


@pytest.mark.parametrize("path", [("status",), ("events", "tail"), ("console", "operators", "list")], ids=name_of)
def test_an_unknown_option_is_answered_by_its_own_command(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Fails when the help that is named is that of all commands, which does not have the command's options."""
    with pytest.raises(SystemExit):
        cli.main([*path, "--patience", "1"])
    error = capsys.readouterr().err
    assert error.startswith(f"usage: payonce {name_of(path)}")
    assert error.endswith(f"next: payonce {name_of(path)} --help\n")


def test_what_was_meant_is_proposed(capsys: pytest.CaptureFixture[str]) -> None:
    for words, meant in ((["rooting"], "routing"), (["breaks", "lits"], "list"), (["completion", "bsh"], "bash")):
        with pytest.raises(SystemExit):
            cli.main(words)
        assert f"Did you mean {meant}?" in capsys.readouterr().err


def test_help_and_a_typing_error_load_no_package() -> None:
    """Fails when every command pays for all: `payonce --help` took 0.7 s of processor time, and takes 0.06."""
    code = (
        "import sys; from payonce.cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} - sys.stdlib_module_names), file=sys.stderr)\n"
        "print(len([name for name in sys.modules if name.startswith('payonce')]), file=sys.stderr)\n"
    )
    for words in (["--help"], ["no-such-command"], []):
        done = subprocess.run([sys.executable, "-S", "-c", code, *words], capture_output=True, text=True, check=True)
        loaded, own = done.stderr.splitlines()[-2:]
        assert set(eval(loaded)) <= {"payonce", "__main__"}, loaded  # noqa: S307 - our own print
        assert int(own) <= 5


def test_no_command_is_refused_and_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    import payonce

    assert cli.main([]) == Exit.REFUSED
    assert "commands:" in capsys.readouterr().out
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"payonce {payonce.__version__}\n"


def test_records_become_documents() -> None:
    """Fails when what a command shows can't be written as JSON, or a set comes in another order each time."""
    document = listed([Table.PAYMENTS, frozenset({"b", "a"}), b"\x00"], more=argparse.Namespace and {"n": (1, None)})
    assert json.loads(json.dumps(as_json(document))) == {
        "data": ["payments", ["a", "b"], "AA=="],
        "more": {"n": [1, None]},
    }


def test_the_local_cloud_is_found_by_its_name_alone() -> None:
    """Fails when the local cloud's name leads to AWS with a person's own credentials, or any other name to loopback."""
    found = way_to("payonce-local", {"AWS_PROFILE": "production", "PAYONCE_CLOUD_PORT": "4999"})
    assert (found["AWS_ENDPOINT_URL"], found["AWS_PROFILE"]) == ("http://127.0.0.1:4999", None)
    assert found["AWS_ACCESS_KEY_ID"] == "test"
    assert way_to("payonce-local", {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}) == {}
    assert way_to("payonce-production", {}) == {}
