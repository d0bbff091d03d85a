-- End a consumer's process: its entries become available to other consumers, and its late requests claim nothing.
-- Another process that uses the consumer's name by now keeps the name and its entries.
-- keys: group due owners
-- arguments: consumer process
local name = 'attempt ' .. consumer
local latest = redis.call('HGET', group, name)
if latest and string.match(latest, '^(%S+) %d+$') == process then
    redis.call('HDEL', group, name)
end
local owned = redis.call('HGETALL', owners)
for index = 1, #owned, 2 do
    local its_process, its_consumer = string.match(owned[index + 1], '^(%S+) %d+ (.*)$')
    if its_consumer == consumer and its_process == process then
        redis.call('ZADD', due, 'XX', 0, owned[index])
    end
end
return 0
