-- Puts what was used in the place of what was taken, at one key.
--
-- KEYS  the key
-- ARGV  "rate", how much more was used (less than 0: give back), interval_s, the mark that was answered
--       "day", how much more was used, the day

local time = redis.call('TIME')
local key = KEYS[1]
local more = tonumber(ARGV[2])

if ARGV[1] == 'rate' then
  local now = time[1] - 1700000000 + time[2] / 1000000
  local stored = math.max(now, tonumber(redis.call('GET', key) or now))
  local moved_s = more * tonumber(ARGV[3])
  if more < 0 then
    -- What time has given back already is not given back again.
    moved_s = -math.min(-moved_s, math.max(0, tonumber(ARGV[4]) - now))
  end
  local level = stored + moved_s
  if level > now then
    redis.call('SET', key, string.format('%.17g', level), 'PX', math.ceil((level - now) * 1000))
  else
    redis.call('DEL', key)
  end
  return
end

local today = math.floor(time[1] / 86400)
if tonumber(ARGV[3]) ~= today then
  return -- nobody asks about another day
end
local day, used = string.match(redis.call('GET', key) or '', '^(%d+):(%d+)$')
used = tonumber(day) == today and tonumber(used) or 0
local to_midnight_ms = math.ceil((86400 - time[1] % 86400) * 1000)
redis.call('SET', key, string.format('%d:%d', today, math.max(0, used + more)), 'PX', to_midnight_ms)
