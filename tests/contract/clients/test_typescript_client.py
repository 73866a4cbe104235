"""The TypeScript client: compiled strictly, tested by Node.js against the API's own handlers, packed and used."""

from __future__ import annotations

import json
import re
import shutil
import tarfile
import time
from typing import TYPE_CHECKING, Any

import payonce
from local import node
from payonce.webhooks.signing import Ed25519SigningKey, HmacKey, public_key_of, webhook_headers

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.api_in_memory import Api

AT_SECONDS = 1_795_526_278
BODY = b'{"id":"evt_1","type":"payment.captured","data":{"currency":"EUR","amount_minor":1050}}'


def test_node_runs_its_tests(typescript: Path, api: Api, url: str) -> None:
    """Lost requests and answers, deadlines, pages, webhooks: ``clients/typescript/test``, with its checks of types."""
    compiler = str(typescript / "node_modules" / ".bin" / "tsc")
    node.run([compiler, "--project", "tsconfig.test.json"], typescript)
    files = sorted(str(path) for path in (typescript / "build" / "test").glob("*.test.js"))
    said = node.run(
        [node.node(), "--test-reporter=tap", "--test", *files],
        typescript,
        PAYONCE_API=json.dumps({"url": url, "api_key": api.api_key}),
        PAYONCE_SIGNED=json.dumps(signed()),
    )
    assert re.search(r"^# skipped 0$", said, re.MULTILINE), said
    assert int(re.findall(r"^# pass (\d+)$", said, re.MULTILINE)[0]) >= 22


def signed() -> list[dict[str, Any]]:
    """Return a webhook by each kind of key, as payonce signs it."""
    pair = Ed25519SigningKey(bytes(range(32)))
    secret = HmacKey(bytes(32))
    return [
        {
            "key": text,
            "body": BODY.decode(),
            "at": AT_SECONDS,
            "headers": webhook_headers("evt_1", AT_SECONDS, BODY, [key]),
        }
        for key, text in ((secret, secret.text()), (pair, public_key_of(pair).text()))
    ]


def test_every_type_that_is_known_is_said(typescript: Path) -> None:
    """``unknown`` stands only for what later versions may add, for headers that an answer may have beside, and for the
    data of events that are not payonce's. Fails when a list or an event is untyped.
    """
    text = (typescript / "src" / "schema.ts").read_text()
    lines = [line.strip() for line in text.splitlines() if not line.strip().startswith(("*", "/*"))]
    assert [line for line in lines if re.search(r": any\b", line)] == []
    untold = {line for line in lines if re.search(r": unknown\b", line)}
    assert untold == {"[name: string]: unknown;", "[key: string]: unknown;"}
    custom = re.findall(
        r"^        (\w+): \{\n(?:(?!^        \}).)*data: \{\n +\[key: string\]: unknown;", text, re.M | re.S
    )
    assert custom == ["CustomEvent"]


def test_the_package_holds_what_it_needs_and_no_more(typescript: Path, tmp_path: Path) -> None:
    """Installed from its archive into an empty folder, the README's snippets compile, and import nothing else."""
    version = json.loads((typescript / "package.json").read_text())["version"]
    assert version == payonce.__version__
    node.run([*node.npm(), "pack", "--ignore-scripts", "--silent", "--pack-destination", str(tmp_path)], typescript)
    (archive,) = tmp_path.glob("*.tgz")
    with tarfile.open(archive) as packed:
        names = {name.removeprefix("package/") for name in packed.getnames()}
        packed.extractall(tmp_path / "node_modules", filter="data")
    modules = {path.stem for path in (typescript / "src").glob("*.ts")}
    compiled = {f"dist/{module}{ending}" for module in modules for ending in (".js", ".d.ts")}
    assert names == {"package.json", "README.md", "LICENSE", *compiled}
    (tmp_path / "node_modules" / "package").rename(tmp_path / "node_modules" / "payonce")
    assert not json.loads((tmp_path / "node_modules" / "payonce" / "package.json").read_text()).get("dependencies")


def test_the_snippets_of_its_readme_run(typescript: Path, api: Api, url: str, tmp_path: Path) -> None:
    """Compiled strictly, and run against the API and with a webhook of payonce's own."""
    paying, receiving = re.findall(r"```ts\n(.*?)```", (typescript / "README.md").read_text(), re.DOTALL)
    installed = tmp_path / "node_modules" / "payonce"
    shutil.copytree(typescript / "dist", installed / "dist")
    shutil.copy(typescript / "package.json", installed)
    (tmp_path / "node_modules" / "@types").symlink_to(typescript / "node_modules" / "@types")
    (tmp_path / "node_modules" / "undici-types").symlink_to(typescript / "node_modules" / "undici-types")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "pay.ts").write_text(paying)
    (tmp_path / "receive.ts").write_text(receiving)
    (tmp_path / "both.ts").write_text(
        'import "./pay.js";\nimport { receive } from "./receive.js";\n'
        'const { headers, body } = JSON.parse(process.env["SIGNED"] ?? "{}");\n'
        'const to = (text: string) => new Request("http://127.0.0.1/", { method: "POST", headers, body: text });\n'
        "const ask = (text: string) => receive(to(text));\n"
        "console.log((await ask(body)).status, (await ask(body + ' ')).status);\n"
    )
    compiler = str(typescript / "node_modules" / ".bin" / "tsc")
    options = [
        "--strict",
        "--skipLibCheck",
        "--target",
        "ES2022",
        "--module",
        "NodeNext",
        "--types",
        "node",
        "pay.ts",
        "both.ts",
    ]
    node.run([compiler, *options], tmp_path)
    secret = HmacKey(bytes(32))
    headers = webhook_headers("evt_1", int(time.time()), BODY, [secret])
    said = node.run(
        [node.node(), "both.js"],
        tmp_path,
        PAYONCE_API_URL=url,
        PAYONCE_API_KEY=api.api_key,
        WEBHOOK_SECRET=secret.text(),
        SIGNED=json.dumps({"headers": headers, "body": BODY.decode()}),
    )
    assert said.splitlines() == ["captured false", "1050", "evt_1 1050", "204 401"]
    assert len(api.gateway.bookings) == 1
