-- Start a new group at the present publication.
local function join(meta, agents, group, seen)
    local latest = redis.call('HGET', meta, 'entry')
    if latest and not redis.call('HGET', group, 'entry') then
        local known = redis.call('HGETALL', agents)
        for index = 1, #known, 2 do
            redis.call('HSET', seen, known[index], known[index + 1])
        end
        redis.call('HSET', group, 'entry', latest, 'feed', feed_kind(redis.call('HGET', meta, 'feed')) or 'feed-up')
    end
end
