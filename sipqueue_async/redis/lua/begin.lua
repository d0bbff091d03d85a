-- Start an attempt of a consumer, named by its process and a growing number. Entries that the consumer claimed in earlier
-- attempts become available to other consumers. A late request does not touch entries of later attempts of its process.
-- Returns 1, or 0 if nothing is published yet, so that the group cannot start.
-- keys: group due owners meta agents seen
-- arguments: consumer attempt
-- uses: feed_kind join
join(meta, agents, group, seen)
local process, number = string.match(attempt, '^(%S+) (%d+)$')
local name = 'attempt ' .. consumer
local latest_process, latest_number = string.match(redis.call('HGET', group, name) or '', '^(%S+) (%d+)$')
if latest_process ~= process or tonumber(latest_number) < tonumber(number) then
    redis.call('HSET', group, name, attempt)
end
local owned = redis.call('HGETALL', owners)
for index = 1, #owned, 2 do
    local its_process, its_number, its_consumer = string.match(owned[index + 1], '^(%S+) (%d+) (.*)$')
    if its_consumer == consumer and (its_process ~= process or tonumber(its_number) < tonumber(number)) then
        redis.call('ZADD', due, 'XX', 0, owned[index])
    end
end
return redis.call('HGET', group, 'entry') and 1 or 0
