-- Delete the lock if the owner holds it, in any of its terms.
-- keys: leader
-- arguments: owner
local lock = redis.call('GET', leader)
if lock and string.match(lock, '^%d+ (.*)$') == owner then
    return redis.call('DEL', leader)
end
return 0
