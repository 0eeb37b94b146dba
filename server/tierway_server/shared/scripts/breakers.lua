-- The last transition of every breaker, by the server's clock, and who may probe what is open.
--
-- KEYS: 1 replicas (see replica.lua), 2 the breakers: by deployment "version state until_us prober turn_us"; "#version" of the last
--       change that others are to hear, "#born" when the record began.
-- ARGV: 1 replica, 2 round, 3 turn_us: how long a replica may go without a probe under way, 4 what it has heard: what it was returned
--       first by the last round that was answered, '' when none was, then for each transition or probe that is under way: deployment,
--       state (open, closed or probing), open_us: how long it rests.
-- Returns {what is heard with this, whether all follow (1) or what changed since (0)}, then for each of them {deployment, version, state,
-- microseconds until it may be probed, prober}; false: a later round was here.
--
-- One replica probes at a time, so that the quota of probes is one for all. It has its turn while probes are under way, or for
-- turn_us; then it is the next one's.
--
-- What changed is told within one run of the server and one life of the record: what was forgotten, or set back, is told anew, and all of
-- it. Versions follow the clock, so that none comes twice, there or here.

local replica, round, turn_us = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
if tonumber(string.match(redis.call('HGET', KEYS[1], replica) or '', '^%d+')) ~= round then
  return false
end
local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]

redis.call('HSETNX', KEYS[2], '#born', string.format('%.0f', now_us))
local life = redis.call('HGET', KEYS[1], '#run') .. ' ' .. redis.call('HGET', KEYS[2], '#born')
local heard_life, heard = string.match(ARGV[4], '^(.+) (%d+)$')
local tells_all = heard_life ~= life
heard = tells_all and 0 or tonumber(heard)

local breakers, written = {}, {}
local all = redis.call('HGETALL', KEYS[2])
for at = 1, #all, 2 do
  local version, state, until_us, prober, turn = string.match(all[at + 1], '^(%d+) (%a+) (%d+) (%S+) (%d+)$')
  if version then
    written[all[at]] = all[at + 1]
    breakers[all[at]] = {tonumber(version), state, tonumber(until_us), prober, tonumber(turn)}
  end
end

local latest = tonumber(redis.call('HGET', KEYS[2], '#version') or 0)
local function next_version()
  latest = math.max(latest + 1, now_us)
  redis.call('HSET', KEYS[2], '#version', string.format('%.0f', latest))
  return latest
end

for at = 5, #ARGV, 3 do
  local name, state, breaker = ARGV[at], ARGV[at + 1], breakers[ARGV[at]]
  if state == 'probing' then
    if breaker and breaker[4] == replica then
      breaker[5] = now_us + turn_us
    end
  else
    local until_us = state == 'open' and now_us + tonumber(ARGV[at + 2]) or 0
    breakers[name] = {next_version(), state, until_us, '-', 0}
  end
end

local told = {'', tells_all and 1 or 0}
for name, breaker in pairs(breakers) do
  local version, state, until_us, prober, turn = unpack(breaker)
  if state == 'open' and now_us >= until_us then
    -- Whose turn was not used gives way to the others for one turn.
    local is_free = now_us >= turn and (prober ~= replica or now_us >= turn + turn_us)
    if is_free or redis.call('HEXISTS', KEYS[1], prober) == 0 then
      if prober ~= replica then
        version = next_version()
      end
      prober, turn = replica, now_us + turn_us
    end
  end
  local record = string.format('%.0f %s %.0f %s %.0f', version, state, until_us, prober, turn)
  if record ~= written[name] then
    redis.call('HSET', KEYS[2], name, record)
  end
  if version > heard then
    told[#told + 1] = {name, version, state, math.max(0, until_us - now_us), prober}
  end
end
told[1] = life .. ' ' .. string.format('%.0f', latest)
redis.call('PEXPIRE', KEYS[2], 86400 * 1000)
return told
