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
redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[4], '*', 'transition', ARGV[1], 'id', ARGV[2], 'at_ms', ARGV[3],
    'claim_id', ARGV[5], 'fence', ARGV[6])
"""

_OWNED = """
local stored = redis.call('HMGET', KEYS[1], 'claim_id', 'fence', 'status')
if stored[1] ~= ARGV[5] or stored[2] ~= ARGV[7] or stored[3] ~= ARGV[8] then
    return 0
end
"""

# Every script: ARGV 1 name of the transition, 2 record id, 3 now in ms, 4 audit entries kept, 5 claim id, 6 fence of
# the owner that makes the transition.

# ARGV 7 lease end, 8... fields and values. Returns nothing when stored, otherwise the fields and values that are there.
CLAIM = Script(
    """
if redis.call('EXISTS', KEYS[1]) == 1 then
    return redis.call('HGETALL', KEYS[1])
end
redis.call('HSET', KEYS[1], unpack(ARGV, 8))
redis.call('ZADD', KEYS[2], ARGV[7], ARGV[2])
"""
    + _AUDIT
    + "return {}"
)

# ARGV 7 stored fence, 8 stored status, 9 new lease end or '' when the claim is no longer open, 10 when to purge in
# epoch ms or '' for never, 11 number of dropped fields, 12... dropped fields, then fields and values. Returns 1, or 0
# when another owns it.
CHANGE = Script(
    _OWNED
    + """
local dropped = tonumber(ARGV[11])
redis.call('HSET', KEYS[1], unpack(ARGV, 12 + dropped))
if dropped > 0 then
    redis.call('HDEL', KEYS[1], unpack(ARGV, 12, 11 + dropped))
end
if ARGV[9] == '' then
    redis.call('ZREM', KEYS[2], ARGV[2])
else
    redis.call('ZADD', KEYS[2], ARGV[9], ARGV[2])
end
if ARGV[10] ~= '' then
    redis.call('PEXPIREAT', KEYS[1], ARGV[10])
end
"""
    + _AUDIT
    + "return 1"
)

# ARGV 7 stored fence, 8 stored status. Returns 1, or 0 when another owns it.
RELEASE = Script(
    _OWNED
    + """
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[2])
"""
    + _AUDIT
    + "return 1"
)
