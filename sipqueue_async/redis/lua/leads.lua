-- Refuse a relay that has lost the lock, or whose last publication is not the last one in Redis. Count the renewal.
if redis.call('GET', leader) ~= lock then
    return 'not_leader'
end
if (redis.call('HGET', meta, 'sequence') or '0') ~= sequence then
    return 'conflict'
end
local renewals = redis.call('HINCRBY', meta, 'renewals', 1)
