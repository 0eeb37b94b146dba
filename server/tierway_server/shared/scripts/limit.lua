-- What a replica took of a rate limit, merged into the one arrival time that all replicas go by.
--
-- KEYS: 1 replicas (see replica.lua), 2 the limit: by replica what it took; "#idle_us": when the limit is idle again.
-- ARGV: 1 replica, 2 round, 3 taken since it began, 4 taken by the last round that was answered, 5 increment_ns,
--       6 ahead_ns: how far the limit is ahead of the clock in the replica: what it took longer ago no longer counts,
--       7 most_ns: how far it can be ahead at most, whatever became of the server's clock,
--       8 held_ns: how far ahead a replica holds it that has not told so before; 0: it does not.
-- Returns {nanoseconds until the limit is idle}; false: a later round was here.

local replica, round = ARGV[1], tonumber(ARGV[2])
if tonumber(string.match(redis.call('HGET', KEYS[1], replica) or '', '^%d+')) ~= round then
  return false
end
local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local taken, increment_ns, ahead_ns = tonumber(ARGV[3]), tonumber(ARGV[5]), tonumber(ARGV[6])

-- What it says was answered holds where the server has forgotten; otherwise the server knows best which rounds came through.
local before = tonumber(redis.call('HGET', KEYS[2], replica) or ARGV[4])
local idle_us = math.max(tonumber(redis.call('HGET', KEYS[2], '#idle_us') or 0), now_us)
if taken > before then
  idle_us = idle_us + math.min((taken - before) * increment_ns, ahead_ns) / 1000
end
idle_us = math.min(math.max(idle_us, now_us + tonumber(ARGV[8]) / 1000), now_us + tonumber(ARGV[7]) / 1000)
redis.call('HSET', KEYS[2], replica, string.format('%.0f', taken), '#idle_us', string.format('%.0f', math.ceil(idle_us)))
redis.call('PEXPIRE', KEYS[2], math.ceil((idle_us - now_us) / 1000) + 3600 * 1000)

for _, field in ipairs(redis.call('HKEYS', KEYS[2])) do
  if string.sub(field, 1, 1) ~= '#' and redis.call('HEXISTS', KEYS[1], field) == 0 then
    redis.call('HDEL', KEYS[2], field)
  end
end
return {math.ceil((idle_us - now_us) * 1000)}
