-- Take the lock if no relay holds it, or if it still equals the lock that the caller has seen unchanged for a lease.
-- Returns the lock and the number of renewals. An owner that asks again, after a lost answer, gets its lock.
-- keys: leader meta
-- arguments: owner stale_lock stale_renewals
local lock = redis.call('GET', leader)
-- Relays of format 1 do not count renewals, but change the time in `alive` with each.
local renewals = redis.call('HGET', meta, 'renewals') or redis.call('HGET', meta, 'alive') or '0'
if lock then
    local is_own = string.match(lock, '^%d+ (.*)$') == owner
    if is_own or lock ~= stale_lock or renewals ~= stale_renewals then
        return {lock, renewals}
    end
end
lock = redis.call('HINCRBY', meta, 'terms', 1) .. ' ' .. owner
redis.call('SET', leader, lock)
return {lock, renewals}
