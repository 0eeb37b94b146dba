-- A sign of life of a replica: the first script of every round. It numbers the round, and the others look at the number, so that a
-- round that was given up, and comes through after a later one, changes nothing.
--
-- KEYS: 1 replicas: by replica "round seen_us"; "#run" the server's run, "#lease_us" from when on money is leased, "#alive" how many
--       replicas live.
-- ARGV: 1 replica, 2 round, 3 lost_after_us, 4 forget_us.
-- Returns {replicas alive, microseconds until money is leased}; false: a later round was here.
--
-- A server that was started again, or took over, may have forgotten the last moments. Until every replica that is alive has told
-- what it holds, which takes lost_after_us at most, nothing is leased.

local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local replica, round = ARGV[1], tonumber(ARGV[2])
local lost_after_us, forget_us = tonumber(ARGV[3]), tonumber(ARGV[4])

local last = redis.call('HGET', KEYS[1], replica)
if last and tonumber(string.match(last, '^%d+')) >= round then
  return false
end
redis.call('HSET', KEYS[1], replica, string.format('%.0f %.0f', round, now_us))
redis.call('PEXPIRE', KEYS[1], math.ceil(forget_us / 1000))

-- Asked here, not by the replica: a connection is mended without its knowledge.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local lease_us = tonumber(redis.call('HGET', KEYS[1], '#lease_us'))
if redis.call('HGET', KEYS[1], '#run') ~= run or not lease_us then
  lease_us = now_us + lost_after_us
  redis.call('HSET', KEYS[1], '#run', run, '#lease_us', string.format('%.0f', lease_us))
end

local alive = 0
local all = redis.call('HGETALL', KEYS[1])
for at = 1, #all, 2 do
  local seen_us = tonumber(string.match(all[at + 1], '^%d+ (%d+)$'))
  if seen_us and now_us - seen_us <= lost_after_us then
    alive = alive + 1
  elseif seen_us and now_us - seen_us > forget_us then
    redis.call('HDEL', KEYS[1], all[at])
  end
end
redis.call('HSET', KEYS[1], '#alive', alive)
return {alive, math.max(0, lease_us - now_us)}
