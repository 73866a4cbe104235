"""The transitions of an idempotency record as Lua scripts: compare and set, index and audit entry in one.

A server runs one script at a time, and every key of a script carries the same hash tag: what is compared can't change
before it is set. The first write of each script is one that a full server refuses (HSET) or one that frees memory
(DEL), so that a script is refused as a whole or done as a whole: Redis lets a script that has written go on.

::

    KEYS   1 record (hash)    2 open leases (sorted set: id by lease end)    3 audit (stream)
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script; ``sha1`` is the name under which servers cache it."""

    source: str
    sha1: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha1", hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest())


_AUDIT = """
redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[3], '*', 'entry', ARGV[1])
"""

_OWNED = """
local stored = redis.call('HMGET', KEYS[1], 'claim_id', 'fence', 'status')
if stored[1] ~= ARGV[4] or stored[2] ~= ARGV[5] or stored[3] ~= ARGV[6] then
    return 0
end
"""

# Every script: ARGV 1 audit entry, 2 record id, 3 audit entries kept. Those of an owner: 4 claim id, 5 fence, 6 status,
# as they have to be stored.

# ARGV 4 lease end, 5... fields and values. Returns nothing when stored, otherwise the fields and values that are there.
CLAIM = Script(
    """
if redis.call('EXISTS', KEYS[1]) == 1 then
    return redis.call('HGETALL', KEYS[1])
end
redis.call('HSET', KEYS[1], unpack(ARGV, 5))
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[2])
"""
    + _AUDIT
    + "return {}"
)

# ARGV 7 new lease end or '' when the claim is no longer open, 8 when to purge in epoch ms or '' for never, 9 number of
# dropped fields, 10... dropped fields, then fields and values. Returns 1, or 0 when another owns it.
CHANGE = Script(
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

# Returns 1, or 0 when another owns it.
RELEASE = Script(
    _OWNED
    + """
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[2])
"""
    + _AUDIT
    + "return 1"
)
