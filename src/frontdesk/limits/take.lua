-- Takes all of a request's limits, or none: a script is one step, so nothing comes between looking and taking.
--
-- KEYS  a key for each limit
-- ARGV  "take" or "look", holder, seconds that a lease holds; then for each limit: kind, amount, weight, window_s,
--       interval_s
-- Answers words with blanks between: the place of the limit that refuses (0 for none) and the seconds until it will
-- not; then for each limit: what is left, in how many seconds it is whole, and its mark.
--
-- The arithmetic is that of in_process.py, to the last bit.

local ROUNDING_S = 1e-6
local ROUNDING = 1e-3 -- of one thing
local LEASE_WAIT_S = 1
local DAY_S = 86400

local time = redis.call('TIME')
-- Since 2023, so that a double tells hundredths of a microsecond.
local now = time[1] - 1700000000 + time[2] / 1000000
local today = math.floor(time[1] / DAY_S)
local to_midnight_s = DAY_S - time[1] % DAY_S - time[2] / 1000000

local is_taking = ARGV[1] == 'take'
local holder, lease_s = ARGV[2], tonumber(ARGV[3])
local refuses, wait_s = 0, 0
local limits = {}

local function refuse(place, seconds)
  if seconds > wait_s then
    refuses, wait_s = place, seconds
  end
end

local function exact(number)
  return string.format('%.17g', number)
end

for place, key in ipairs(KEYS) do
  local at = 5 * place - 1
  local limit = {
    kind = ARGV[at],
    amount = tonumber(ARGV[at + 1]),
    weight = tonumber(ARGV[at + 2]),
    window_s = tonumber(ARGV[at + 3]),
    interval_s = tonumber(ARGV[at + 4]),
  }
  if limit.kind == 'rate' then
    limit.before = math.max(now, tonumber(redis.call('GET', key) or now))
    limit.after = limit.before + limit.weight * limit.interval_s
    local over_s = limit.after - now - limit.window_s
    if over_s > ROUNDING_S then
      refuse(place, over_s)
    end
  elseif limit.kind == 'lease' then
    limit.before = redis.call('ZCOUNT', key, '(' .. exact(now), '+inf')
    limit.after = limit.before + 1
    if limit.before >= limit.amount then
      refuse(place, LEASE_WAIT_S)
    end
  else
    local day, used = string.match(redis.call('GET', key) or '', '^(%d+):(%d+)$')
    limit.before = tonumber(day) == today and tonumber(used) or 0
    limit.after = limit.before + limit.weight
    if limit.after > limit.amount then
      refuse(place, to_midnight_s)
    end
  end
  limits[place] = limit
end

local is_taken = is_taking and refuses == 0
local answer = { refuses, exact(wait_s) }

for place, key in ipairs(KEYS) do
  local limit = limits[place]
  local level = is_taken and limit.after or limit.before
  local left, whole_in_s, mark
  if limit.kind == 'rate' then
    whole_in_s, mark = level - now, level
    left = math.floor(limit.amount - whole_in_s / limit.interval_s + ROUNDING)
    if is_taken and level > now then
      redis.call('SET', key, exact(level), 'PX', math.ceil(whole_in_s * 1000))
    end
  elseif limit.kind == 'lease' then
    whole_in_s, mark = 0, 0
    left = limit.amount - level
    if is_taken then
      redis.call('ZREMRANGEBYSCORE', key, '-inf', exact(now))
      redis.call('ZADD', key, exact(now + lease_s), holder)
      redis.call('PEXPIRE', key, math.ceil(lease_s * 1000))
    end
  else
    whole_in_s, mark = to_midnight_s, today
    left = limit.amount - level
    if is_taken then
      redis.call('SET', key, string.format('%d:%d', today, level), 'PX', math.ceil(to_midnight_s * 1000))
    end
  end
  answer[#answer + 1] = string.format('%d', math.max(0, left))
  answer[#answer + 1] = exact(whole_in_s)
  answer[#answer + 1] = exact(mark)
end

return table.concat(answer, ' ')
