"""P6 and P8 of events: one for each change, with one id, and the same bytes for its merchant alone."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

from payonce.ports import Table
from simulation.facts import Facts, Violated
from simulation.promises.shared import changes_of, event_name, told_in

if TYPE_CHECKING:
    from payonce.ports import Item
    from simulation.database import Change, Commit
    from simulation.messages import Received

VERSIONED = frozenset({"PAYMENT", "SETUP", "METHOD"})


def p6_one_event_per_change(facts: Facts, commit: Commit) -> None:
    """A payment's new version and its event are one transaction, and the event's id follows from them."""
    del facts
    versions = _new_versions(commit)
    for change in changes_of(commit, Table.OUTBOX):
        if change.before is not None:
            _check_unchanged(change, commit)
            continue
        item = change.after
        if item is None or not change.key[1].isdigit():
            continue
        if int(change.key[1]) > 1:
            versions[change.key[0], int(change.key[1])] -= 1
        wanted, called = event_name(item), json.loads(told_in(item)[1])["id"]
        if called != wanted:
            raise Violated("P6", f"the event {change.key} is called {called}, not {wanted}")
    if missing := [version for version, count in versions.items() if count]:
        raise Violated("P6", f"changes and events of one transaction differ: {missing}")


def _new_versions(commit: Commit) -> Counter[tuple[str, int]]:
    versions: Counter[tuple[str, int]] = Counter()
    for change in changes_of(commit, Table.PAYMENTS):
        if change.key[1] in VERSIONED and change.after is not None:
            was = 1 if change.before is None else change.before["version"]  # the first version is its event
            if change.after["version"] < was:
                raise Violated("P6", f"{commit.actor} took back version {was} of {change.key[0]}")
            versions.update(
                (change.key[0].rpartition("#")[2], version) for version in range(was + 1, change.after["version"] + 1)
            )
    return versions


def _check_unchanged(change: Change, commit: Commit) -> None:
    if change.after != change.before:
        raise Violated("P6", f"{commit.actor} changed the event {change.key}")


def p6_every_copy_is_the_same(facts: Facts, received: Received) -> None:
    """A webhook's id and bytes are those of its event, in every delivery."""
    for item in _events(facts):
        if event_name(item) == received.event_id and told_in(item)[1] == received.body:
            facts.received[received.url, received.event_id] = received.body
            return
    raise Violated("P6", f"{received.url} got bytes that are not those of {received.event_id}")


def p6_every_event_arrived(facts: Facts) -> None:
    """In the end every event has come to every endpoint of its merchant."""
    endpoints = [item for item in facts.database.items(Table.ENDPOINTS) if "url" in item]
    for event in _events(facts):
        for endpoint in endpoints:
            arrived = (endpoint["url"], event_name(event)) in facts.received
            if endpoint["merchant_id"] == event["merchant_id"] and not arrived:
                raise Violated("P6", f"{event_name(event)} has never come to {endpoint['url']}")


def p8_webhooks_are_the_merchants_own(facts: Facts, received: Received) -> None:
    """An endpoint receives events of its merchant alone."""
    for item in _events(facts):
        if event_name(item) == received.event_id and item["merchant_id"] not in received.url:
            raise Violated("P8", f"{received.url} got an event of {item['merchant_id']}")


def _events(facts: Facts) -> list[Item]:
    return [item for item in facts.database.items(Table.OUTBOX) if item["sk"].isdigit()]
