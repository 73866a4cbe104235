"""What ``doctor`` looks at beyond this machine: region, clock, credentials, the stack, its tables, API and key."""

from __future__ import annotations

import difflib
import time
from email.utils import parsedate_to_datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from payonce.cli import local_stack
from payonce.cli.doctor_machine import names_cloud
from payonce.cli.findings import good, note, problem
from payonce.extras import needs

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from payonce.cli.findings import Finding

CONNECT_TIMEOUT_SECONDS: Final = 5
# AWS refuses signatures that are five minutes old, and webhooks are refused then too:
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html
WORST_CLOCK_SECONDS: Final = 300
POOR_CLOCK_SECONDS: Final = 30
SIGNED_OUT: Final = (401, 403)


def look(stack: str | None, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what is found, in the order in which one thing needs the other; it ends where nothing more can be asked."""
    if find_spec("boto3") is None:
        return
    if not names_cloud(stack, environment):
        yield note("stack", "none is named, so that no credentials are looked at", "--stack NAME, or PAYONCE_STACK")
        return
    with needs("dynamodb"):
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

    try:
        session = boto3.session.Session()
        region = _region(session)
    except BotoCoreError as error:
        yield _advised("profile", error)
        return
    yield region
    if region.cure:
        return
    config = Config(
        connect_timeout=CONNECT_TIMEOUT_SECONDS, read_timeout=CONNECT_TIMEOUT_SECONDS, retries={"total_max_attempts": 1}
    )
    identity = session.client("sts", config=config)
    reached = yield from _endpoint(identity.meta.endpoint_url, stack)
    if not reached:
        return
    known = yield from _credentials(identity)
    if not known:
        return
    if not stack:
        yield note("stack", "none is named", "--stack NAME, or PAYONCE_STACK")
        return
    found = yield from _stack(session.client("cloudformation", config=config), stack, environment)
    if found is not None:
        yield from _tables(session.client("dynamodb", config=config), found)
        yield from _api(found, environment)


def _region(session: Any) -> Finding:
    region = session.region_name
    if not region:
        return problem("region", "none is named", "export AWS_REGION=eu-central-1, or the stack's region")
    known = {each for part in session.get_available_partitions() for each in session.get_available_regions("sts", part)}
    if region not in known:
        near = difflib.get_close_matches(region, sorted(known), n=1)
        cure = f"export AWS_REGION={near[0] if near else 'eu-central-1'}"
        return problem("region", f"{region!r} is no region of AWS", cure)
    return good("region", region)


def _endpoint(url: str, stack: str | None) -> Generator[Finding, None, bool]:
    """Yield whether the endpoint answers, and how far its clock is from this one; return whether it answers."""
    try:
        # The address is the one that the SDK asks.
        with urlopen(Request(url, method="HEAD"), timeout=CONNECT_TIMEOUT_SECONDS) as answer:  # noqa: S310  # nosec B310
            told = answer.headers.get("Date")
    except HTTPError as refused:  # any answer will do
        with refused:
            told = refused.headers.get("Date")
    except (URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        local = stack == local_stack.STACK or "127.0.0.1" in url or "localhost" in url
        cure = "payonce up" if local else "Check AWS_ENDPOINT_URL, AWS_REGION, the network and HTTPS_PROXY."
        yield problem("endpoint", f"{url} can't be reached: {reason}", cure)
        return False
    yield good("endpoint", f"{url} answers")
    yield _clock(told)
    return True


def _clock(told: str | None) -> Finding:
    try:
        off = time.time() - parsedate_to_datetime(told or "").timestamp()
    except (ValueError, TypeError):
        return note("clock", "the endpoint tells no time, so that the clock can't be compared")
    text = f"{abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} the endpoint's"
    cure = "Set the clock by the network: timedatectl set-ntp true"
    if abs(off) >= WORST_CLOCK_SECONDS:
        return problem("clock", f"{text}: signatures that are {WORST_CLOCK_SECONDS} s off are refused", cure)
    return note("clock", text, cure) if abs(off) > POOR_CLOCK_SECONDS else good("clock", "as the endpoint's")


def _credentials(identity: Any) -> Generator[Finding, None, bool]:
    with needs("dynamodb"):
        from botocore.exceptions import BotoCoreError, ClientError

    try:
        who = identity.get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        yield _advised("credentials", error)
        return False
    yield good("credentials", f"{who['Arn']} in account {who['Account']}")
    return True


def _advised(name: str, error: Exception) -> Finding:
    from payonce.cli.advice import advice_of

    advice = advice_of(error)
    detail = advice.detail if advice else " ".join(str(error).split())
    cure = advice.cure if advice else ""
    return problem(name, detail, cure or "See https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html")


def _stack(client: Any, name: str, environment: Mapping[str, str]) -> Generator[Finding, None, dict[str, str] | None]:
    """Yield how the stack stands; return the variables that it gives, or ``None`` if it can't be used."""
    from payonce.cli import stack
    from payonce.domain.errors import MisconfiguredError

    try:
        described = stack.describe(name, client)
    except MisconfiguredError as error:
        finding = _advised("stack", error)
        if finding.cure.startswith("Name the stack") and name == local_stack.STACK:
            finding = problem("stack", finding.detail, "payonce up")
        yield finding
        return None
    status, found = described["StackStatus"], stack.found_in(described, environment)
    missing = sorted(each for each in stack.EXPECTED_OUTPUTS - _outputs(described))
    again = "payonce down && payonce up" if name == local_stack.STACK else f"sam deploy --stack-name {name}"
    if status.startswith("DELETE"):
        yield problem("stack", f"{name} is {status}", f"Deploy it anew under a new name, or wait and: {again}")
    elif status == "ROLLBACK_COMPLETE":
        cure = f"aws cloudformation delete-stack --stack-name {name}, and then: {again}"
        yield problem("stack", f"{name} is {status}: its first deployment failed, and nothing of it is left", cure)
    elif status.endswith("IN_PROGRESS") and status not in stack.SERVING:
        cure = f"aws cloudformation wait stack-create-complete --stack-name {name}"
        yield problem("stack", f"{name} is half deployed: {status}", f"Wait until it is done: {cure}")
    elif status not in stack.SERVING:
        events = f"aws cloudformation describe-stack-events --stack-name {name} says why"
        yield problem("stack", f"{name} is half deployed: {status}", f"{again}; {events}")
    elif missing:
        yield problem("stack", f"{name} is {status}, and lacks the outputs {', '.join(missing)}", again)
    else:
        yield good("stack", f"{name} is {status}")
    return found if status in stack.SERVING else None


def _outputs(described: Mapping[str, Any]) -> set[str]:
    return {each["OutputKey"] for each in described.get("Outputs", [])}


def _tables(client: Any, found: Mapping[str, str]) -> Iterator[Finding]:
    with needs("dynamodb"):
        from botocore.exceptions import BotoCoreError, ClientError

    names = {variable: name for variable, name in found.items() if variable.endswith("_TABLE")}
    for variable, name in sorted(names.items()):
        try:
            status = client.describe_table(TableName=name)["Table"]["TableStatus"]
        except (ClientError, BotoCoreError) as error:
            code = getattr(error, "response", {}).get("Error", {}).get("Code", "")
            if code == "ResourceNotFoundException":
                cure = "Deploy again (`sam deploy`), or restore it from its backup under this name."
                yield problem("table", f"{name} ({variable}) does not exist", cure)
                continue
            yield _advised("table", error)
            return
        if status != "ACTIVE":
            yield note("table", f"{name} is {status}", "Wait until it is ACTIVE.")
    yield good("tables", f"{len(names)} looked at")


def _api(found: Mapping[str, str], environment: Mapping[str, str]) -> Iterator[Finding]:
    from payonce.cli.http_api import KEY_VARIABLE, Api, status_of
    from payonce.cli.stack import API_VARIABLE
    from payonce.domain.errors import UpstreamUnavailable

    url, api_key = found.get(API_VARIABLE), environment.get(KEY_VARIABLE, "")
    if not url:
        return
    try:
        status = status_of(Api(url, api_key or "none"), "/payments?limit=1")
    except UpstreamUnavailable as error:
        yield problem("api", error.detail, "payonce status; the stack's logs say more")
        return
    if status >= 500:
        yield problem("api", f"{url} answers {status}", "docs/runbooks/server-errors.md")
    elif status in SIGNED_OUT and api_key:
        cure = f"Make another: payonce keys create MERCHANT, and set {KEY_VARIABLE}."
        yield problem("api-key", f"{KEY_VARIABLE} is refused ({status})", cure)
    else:
        yield good("api", f"{url} answers{'' if api_key else f'; no {KEY_VARIABLE} to look at'}")
