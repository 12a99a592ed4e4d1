-- Leases hold on, those as well that a Valkey lost which was away.
--
-- KEYS  the key
-- ARGV  seconds that a lease holds, then the holders

local time = redis.call('TIME')
local now = time[1] - 1700000000 + time[2] / 1000000
local lease_s = tonumber(ARGV[1])
for place = 2, #ARGV do
  redis.call('ZADD', KEYS[1], string.format('%.17g', now + lease_s), ARGV[place])
end
redis.call('PEXPIRE', KEYS[1], math.ceil(lease_s * 1000))
