-- What a replica spent of a budget, and its lease: what it may spend without asking.
--
-- KEYS: 1 replicas (see replica.lua), 2 the budget: by replica "spent reserved granted"; "#period", "#gone", "#seen".
-- ARGV: 1 replica, 2 round, 3 limit, 4 period_us (0: never ends), 5 the period that the replica counts (-1: none yet), then of it:
--       6 spent, 7 reserved, 8 granted, 9 wanted: what should be free at once, 10 granted to all, as last seen; 11 lease share,
--       12 whether the replica leaves (1 or 0).
-- Money is in nano-USD: whole numbers that a double holds exactly.
-- Returns {period, granted, granted to all, spent by others, reserved by others, target}; false: a later round was here.
--
-- The sum of what was granted never exceeds the limit, and no replica reserves beyond what it was granted; so nobody overspends.
-- All numbers of a replica are its own sums since the period began: told twice, they count once; forgotten, they are told again.
-- Its word about `granted` holds: a grant whose reply was lost is unknown to it and so was not spent.
-- "#gone" is what was granted to replicas that are forgotten. It counts as spent: nobody knows that it was not.
-- "#seen" is the most that anyone saw granted when the server had forgotten; what nobody claims by the time of leasing is gone.

local replica, round = ARGV[1], tonumber(ARGV[2])
if tonumber(string.match(redis.call('HGET', KEYS[1], replica) or '', '^%d+')) ~= round then
  return false
end
local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local limit, period_us = tonumber(ARGV[3]), tonumber(ARGV[4])
local spent, reserved, granted = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local wanted, seen = tonumber(ARGV[9]), tonumber(ARGV[10])
local leaves = ARGV[12] == '1'
local alive = tonumber(redis.call('HGET', KEYS[1], '#alive'))
local is_leasing = now_us >= tonumber(redis.call('HGET', KEYS[1], '#lease_us'))

local function write(field, number)
  redis.call('HSET', KEYS[2], field, string.format('%.0f', number))
end

local counted = tonumber(redis.call('HGET', KEYS[2], '#period'))
local period = period_us > 0 and math.floor(now_us / period_us) or 0
if counted and counted > period then
  period = counted -- the clock of a server that took over is behind: no period begins twice
end
if counted ~= period then
  redis.call('DEL', KEYS[2])
  write('#period', period)
end
if period_us > 0 then
  redis.call('PEXPIRE', KEYS[2], math.ceil(period_us / 1000) * 2)
end
if tonumber(ARGV[5]) ~= period then
  spent, granted, seen = 0, 0, 0 -- what it did before belongs to the period before, or to none
end
granted = math.max(granted, spent + reserved) -- answers may cost more than was reserved, or have begun in the period before

local gone = tonumber(redis.call('HGET', KEYS[2], '#gone') or 0)
local all_granted, others_spent, others_reserved = granted, 0, 0
local all = redis.call('HGETALL', KEYS[2])
for at = 1, #all, 2 do
  local their_spent, their_reserved, theirs = string.match(all[at + 1], '^(%d+) (%d+) (%d+)$')
  if theirs and all[at] ~= replica then
    if redis.call('HEXISTS', KEYS[1], all[at]) == 1 then
      all_granted = all_granted + theirs
      others_spent = others_spent + their_spent
      others_reserved = others_reserved + their_reserved
    else
      redis.call('HDEL', KEYS[2], all[at])
      gone = gone + theirs
    end
  end
end

local most_seen = tonumber(redis.call('HGET', KEYS[2], '#seen') or 0)
if not is_leasing then
  write('#seen', math.max(most_seen, seen))
elseif most_seen > 0 then
  gone = gone + math.max(0, most_seen - all_granted - gone)
  redis.call('HDEL', KEYS[2], '#seen')
end
all_granted = all_granted + gone

local left = math.max(0, limit - others_spent - others_reserved - gone - spent - reserved)
local target = math.max(wanted, math.floor(left * tonumber(ARGV[11]) / alive))
if not is_leasing then
  target = math.max(target, granted - spent - reserved) -- given back before all is claimed, it would be gone
end
if leaves then
  gone = gone + granted
  redis.call('HDEL', KEYS[2], replica)
else
  local more = math.min(target - (granted - spent - reserved), limit - all_granted)
  if is_leasing and more > 0 then
    granted, all_granted = granted + more, all_granted + more
  end
  redis.call('HSET', KEYS[2], replica, string.format('%.0f %.0f %.0f', spent, reserved, granted))
end
if gone > 0 then
  write('#gone', gone)
end
return {period, granted, all_granted, others_spent + gone, others_reserved, target}
