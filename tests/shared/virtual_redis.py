"""The scripts on a real Redis, but with a clock of the test's own, and the specification of budget.lua and replica.lua in Python."""

from dataclasses import dataclass, field

import redis

from tierway_server.shared.link import script_source
from tierway_server.shared.rounds import Call

CLOCK = """
local real, at = redis, tonumber(redis.call('GET', 'clock_us'))
local redis = {call = function(name, ...)
  if name == 'INFO' then return 'run_id:' .. real.call('GET', 'run') end
  if name ~= 'TIME' then return real.call(name, ...) end
  return {string.format('%.0f', math.floor(at / 1000000)), string.format('%.0f', at % 1000000)}
end}
"""


class VirtualRedis:
    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        self.now_us = 1_000_000_000
        self.run = 1

    def call(self, replica: str, round_: int, call: Call):
        self.client.mset({"clock_us": self.now_us, "run": self.run})
        keys = ["replicas", call.key] if call.key else ["replicas"]
        return self.client.eval(
            CLOCK + script_source(call.script), len(keys), *keys, replica, round_, *map(str, call.arguments)
        )


@dataclass
class Entry:
    spent: int
    reserved: int
    granted: int


@dataclass
class Specification:
    """What a server knows: who was heard in which round and when, and of one budget, in nano-USD."""

    heard: dict[str, tuple[int, int]] = field(default_factory=dict)
    run: int = 0
    leases_from_us: int = 0
    alive: int = 0
    entries: dict[str, Entry] = field(default_factory=dict)
    period: int | None = None
    gone: int = 0
    seen: int = 0

    def sign(self, now_us: int, replica: str, round_: int, run: int, lost_after_us: int, forget_us: int):
        if replica in self.heard and self.heard[replica][0] >= round_:
            return None
        self.heard[replica] = (round_, now_us)
        if run != self.run:
            self.run, self.leases_from_us = run, now_us + lost_after_us
        self.alive = sum(now_us - at <= lost_after_us for _, at in self.heard.values())
        self.heard = {name: each for name, each in self.heard.items() if now_us - each[1] <= forget_us}
        return [self.alive, max(0, self.leases_from_us - now_us)]

    def budget(
        self, now_us, replica, round_, limit, period_us, counted, spent, reserved, granted, wanted, seen, share, leaves
    ):
        if self.heard.get(replica, (None,))[0] != round_:
            return None
        period = max(now_us // period_us if period_us else 0, self.period or 0)
        if period != self.period:
            self.period, self.entries, self.gone, self.seen = period, {}, 0, 0
        if counted != period:
            spent = granted = seen = 0
        granted = max(granted, spent + reserved)
        for name in [name for name in self.entries if name not in self.heard]:
            self.gone += self.entries.pop(name).granted
        others = [entry for name, entry in self.entries.items() if name != replica]
        total = granted + sum(entry.granted for entry in others)
        is_leasing = now_us >= self.leases_from_us
        if not is_leasing:
            self.seen = max(self.seen, seen)
        else:
            self.gone += max(0, self.seen - total - self.gone) if self.seen else 0
            self.seen = 0
        total += self.gone
        others_spent, others_reserved = (
            sum(getattr(entry, name) for entry in others) for name in ("spent", "reserved")
        )
        left = max(0, limit - others_spent - others_reserved - self.gone - spent - reserved)
        target = max(wanted, int(left * share / self.alive))
        if not is_leasing:
            target = max(target, granted - spent - reserved)
        if leaves:
            self.gone += granted
            self.entries.pop(replica, None)
        else:
            more = min(target - (granted - spent - reserved), limit - total)
            if is_leasing and more > 0:
                granted, total = granted + more, total + more
            self.entries[replica] = Entry(spent, reserved, granted)
        return [period, granted, total, others_spent + self.gone, others_reserved, target]
