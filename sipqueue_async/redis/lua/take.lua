-- Hand out a group's next entry. Returns its id and value; an empty list if there is none; nil if `attempt` is not the
-- consumer's latest, because a late request must not claim an entry that nothing will process.
-- A consumer asks only when it holds no entry. If this attempt has one in Redis, the answer was lost on the way, so that
-- entry is handed out again. Claimed entries are kept outside the stream, so that trimming the stream loses none.
-- keys: meta agents events group seen work due owners
-- arguments: consumer attempt claim
-- uses: now lines fold field feed_kind join
local taker = attempt .. ' ' .. consumer
local function hand_out(id, value)
    redis.call('ZADD', due, string.format('%.0f', now + claim), id)
    redis.call('HSET', owners, id, taker)
    return {id, value}
end
if redis.call('HGET', group, 'attempt ' .. consumer) ~= attempt then
    return false
end

local owned = redis.call('HGETALL', owners)
for index = 1, #owned, 2 do
    if owned[index + 1] == taker then
        return hand_out(owned[index], redis.call('HGET', work, owned[index]))
    end
end

local late = redis.call('ZRANGE', due, '-inf', string.format('%.0f', now), 'BYSCORE', 'LIMIT', 0, 1)
if late[1] then
    return hand_out(late[1], redis.call('HGET', work, late[1]))
end

local latest = redis.call('HGET', meta, 'entry')
local last = redis.call('HGET', group, 'entry')
if not latest or last == latest then
    return {}
end
if not last then
    join(meta, agents, group, seen)
    return {}
end

local following = redis.call('XRANGE', events, '(' .. last, '+', 'COUNT', 1)[1]
if following and field(following, 'after') == last then
    fold(seen, lines(field(following, 'seats')), lines(field(following, 'now')))
    redis.call('HSET', group, 'entry', following[1])
    local kind = feed_kind(string.match(field(following, 'update'), '"feed":({.*)'))
    if kind then
        redis.call('HSET', group, 'feed', kind)
    end
    local value = cjson.encode({
        after = last, confirmed = field(following, 'confirmed'), update = field(following, 'update'),
        seats = field(following, 'seats'), was = field(following, 'was'), now = field(following, 'now')
    })
    redis.call('HSET', work, following[1], value)
    return hand_out(following[1], value)
end

-- Entries are missing from the stream: hand out the difference between the group's records and the published ones.
local function records(hash)
    local found, flat = {}, redis.call('HGETALL', hash)
    for index = 1, #flat, 2 do
        found[flat[index]] = flat[index + 1]
    end
    return found
end
local old, new = records(seen), records(agents)
local seats, was, are = {}, {}, {}
local function compare(seat)
    if old[seat] ~= new[seat] then
        seats[#seats + 1], was[#was + 1], are[#are + 1] = seat, old[seat] or 'null', new[seat] or 'null'
    end
end
for seat in pairs(new) do
    compare(seat)
end
for seat in pairs(old) do
    if not new[seat] then
        compare(seat)
    end
end
fold(seen, seats, are)
redis.call('HSET', group, 'entry', latest)
local head = redis.call('HMGET', meta, 'sequence', 'snapshot', 'feed')
-- The last feed event counts if the group was handed none since the feed was in another condition.
local feed, kind = 'null', feed_kind(head[3])
if kind and kind ~= (redis.call('HGET', group, 'feed') or 'feed-up') then
    redis.call('HSET', group, 'feed', kind)
    feed = head[3]
end
local value = cjson.encode({
    after = '-', sequence = head[1], snapshot = head[2], feed = feed,
    seats = table.concat(seats, '\n'), was = table.concat(was, '\n'), now = table.concat(are, '\n')
})
redis.call('HSET', work, latest, value)
return hand_out(latest, value)
