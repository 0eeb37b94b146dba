-- What a replica did in the last minute, as it tells it, for that of the others.
--
-- KEYS: 1 replicas (see replica.lua), 2 usage: by replica.
-- ARGV: 1 replica, 2 round, 3 its usage, 4 lost_after_us.
-- Returns the usage of the others that are alive; false: a later round was here.

local replica, round = ARGV[1], tonumber(ARGV[2])
if tonumber(string.match(redis.call('HGET', KEYS[1], replica) or '', '^%d+')) ~= round then
  return false
end
local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
redis.call('HSET', KEYS[2], replica, ARGV[3])
redis.call('PEXPIRE', KEYS[2], 60000)

local told = {}
local all = redis.call('HGETALL', KEYS[2])
for at = 1, #all, 2 do
  local seen_us = tonumber(string.match(redis.call('HGET', KEYS[1], all[at]) or '', '^%d+ (%d+)$'))
  if not seen_us or now_us - seen_us > tonumber(ARGV[4]) then
    redis.call('HDEL', KEYS[2], all[at])
  elseif all[at] ~= replica then
    told[#told + 1] = all[at + 1]
  end
end
return told
