"""The transitions of an idempotency record as Lua scripts: compare-and-set, index and audit entry in one step.

A server runs one script at a time, and all keys of a script have the same hash tag, so nothing changes between
comparing and setting. Each script's first write is one that a full server refuses (HSET), or one that frees memory
(DEL). So a script is refused or executed as a whole: Redis lets a script continue once it has written.

::

    KEYS   1 record (hash)    2 open leases (sorted set: id by lease end)    3 audit (stream)
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script. ``sha1`` is the name under which servers cache it."""

    source: str
    sha1: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha1", hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest())


_AUDIT = """
redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[3], '*', 'entry', ARGV[1])
"""

UNTRUSTED = "UNTRUSTED"  # code of the error with which a script refuses

# A setting can change between our check and the claim, and a server at its memory limit evicts records with its next
# command. A check inside the script is atomic with the claim; it costs the server about 13 µs and no round trip.
_TRUSTED = f"""
if not string.find(redis.call('INFO', 'memory'), 'maxmemory_policy:noeviction', 1, true)
    or not string.find(redis.call('INFO', 'replication'), 'role:master', 1, true) then
    return redis.error_reply('{UNTRUSTED} it evicts records or is not the primary')
end
"""

_OWNED = """
local stored = redis.call('HMGET', KEYS[1], 'claim_id', 'fence', 'status')
if not stored[1] then
    return -1
end
if stored[1] ~= ARGV[4] or stored[2] ~= ARGV[5] or stored[3] ~= ARGV[6] then
    return 0
end
"""

# All scripts: ARGV 1 audit entry, 2 record id, 3 number of audit entries kept. An owner's scripts also: 4 claim id,
# 5 fence, 6 status, which must equal the stored ones.

_NEW = """
if redis.call('EXISTS', KEYS[1]) == 1 then
    return redis.call('HGETALL', KEYS[1])
end
"""

_STORE = (
    """
redis.call('HSET', KEYS[1], unpack(ARGV, 6))
if ARGV[4] ~= '' then
    redis.call('ZADD', KEYS[2], ARGV[4], ARGV[2])
end
if ARGV[5] ~= '' then
    redis.call('PEXPIREAT', KEYS[1], ARGV[5])
end
"""
    + _AUDIT
    + "return {}"
)

# ARGV 4 lease end or '' when it is not open, 5 purge time in epoch ms or '' for never, 6... fields and values.
# Returns an empty answer when it has stored the record, otherwise the fields and values found.
CLAIM = Script(_NEW + _TRUSTED + _STORE)
# For a record that the server has lost under its owner: an outcome is recorded on any server, trusted or not.
RESTORE = Script(_NEW + _STORE)

# ARGV 7 new lease end or '' when the claim is no longer open, 8 purge time in epoch ms or '' for never, 9 number of
# dropped fields, 10... dropped fields, then fields and values. Returns 1 when done, 0 when another owns the record, -1
# when it does not exist.
_CHANGE = (
    _OWNED
    + """
local dropped = tonumber(ARGV[9])
redis.call('HSET', KEYS[1], unpack(ARGV, 10 + dropped))
if dropped > 0 then
    redis.call('HDEL', KEYS[1], unpack(ARGV, 10, 9 + dropped))
end
if ARGV[7] == '' then
    redis.call('ZREM', KEYS[2], ARGV[2])
else
    redis.call('ZADD', KEYS[2], ARGV[7], ARGV[2])
end
if ARGV[8] ~= '' then
    redis.call('PEXPIREAT', KEYS[1], ARGV[8])
end
"""
    + _AUDIT
    + "return 1"
)
CHANGE = Script(_CHANGE)
TAKE_OVER = Script(_TRUSTED + _CHANGE)  # the new owner will execute, as after a claim

# Returns 1 when done, 0 when another owns the record, -1 when it does not exist.
RELEASE = Script(
    _OWNED
    + """
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[2])
"""
    + _AUDIT
    + "return 1"
)
