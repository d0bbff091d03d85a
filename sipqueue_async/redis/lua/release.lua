-- Delete the owner's lock, whichever of its terms it belongs to.
-- keys: leader
-- arguments: owner
local lock = redis.call('GET', leader)
if lock and string.match(lock, '^%d+ (.*)$') == owner then
    return redis.call('DEL', leader)
end
return 0
