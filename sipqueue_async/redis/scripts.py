"""What Redis runs by itself, each script in one step. `docs/relay.md` has the keys and their meaning.

Keys come as KEYS, all with one hash tag, so that the scripts run on a cluster too.
"""

from __future__ import annotations

from typing import Final

_LINES: Final = """
local function lines(text)
    local found = {}
    for line in string.gmatch(text, '[^\\n]+') do
        found[#found + 1] = line
    end
    return found
end
"""

_FOLD: Final = """
-- Puts records into a hash by seat; null takes the seat out.
local function fold(hash, seats, records)
    for place, seat in ipairs(seats) do
        if records[place] == 'null' then
            redis.call('HDEL', hash, seat)
        else
            redis.call('HSET', hash, seat, records[place])
        end
    end
end
"""

_JOIN: Final = """
-- A new group has seen what everybody can see now.
local function join(meta, agents, group, seen)
    local latest = redis.call('HGET', meta, 'entry')
    if latest and not redis.call('HGET', group, 'entry') then
        local known = redis.call('HGETALL', agents)
        for place = 1, #known, 2 do
            redis.call('HSET', seen, known[place], known[place + 1])
        end
        redis.call('HSET', group, 'entry', latest)
    end
end
"""

_NOW: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

_FIELD: Final = """
local function field(entry, name)
    for place = 1, #entry[2], 2 do
        if entry[2][place] == name then
            return entry[2][place + 1]
        end
    end
    return ''
end
"""

ACQUIRE: Final = """
-- KEYS leader, meta; ARGV owner, lease in ms. Returns the term, or 0 where another one leads.
-- Who asks again, since it did not hear that it leads, is told so; that it cannot be heard makes its lease no longer.
local lock = redis.call('GET', KEYS[1])
if lock then
    local held, owner = string.match(lock, '^(%d+) (.*)$')
    return owner == ARGV[1] and tonumber(held) or 0
end
local term = redis.call('HINCRBY', KEYS[2], 'terms', 1)
redis.call('SET', KEYS[1], term .. ' ' .. ARGV[1], 'PX', ARGV[2])
return term
"""

RELEASE: Final = """
-- KEYS leader; ARGV owner, whichever of its turns of leading it is.
local lock = redis.call('GET', KEYS[1])
if lock and string.match(lock, '^%d+ (.*)$') == ARGV[1] then
    return redis.call('DEL', KEYS[1])
end
return 0
"""

_LEADS: Final = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
    return 'not_leader'
end
if (redis.call('HGET', KEYS[2], 'sequence') or '0') ~= ARGV[2] then
    return 'conflict'
end
"""

RENEW: Final = (
    """
-- KEYS leader, meta; ARGV lock, sequence, lease in ms, seen, 1 if what is published is how things are.
-- Only what was published last is confirmed: where Redis has lost it, the relay has to hear of that.
"""
    + _LEADS
    + _NOW
    + """
redis.call('PEXPIRE', KEYS[1], ARGV[3])
if ARGV[5] == '1' then
    redis.call('HSET', KEYS[2], 'alive', now, 'lease', ARGV[3])
    if ARGV[4] ~= '' then
        redis.call('HSET', KEYS[2], 'seen', ARGV[4])
    end
end
return 'ok'
"""
)

PUBLISH: Final = (
    """
-- KEYS leader, meta, agents, events; ARGV lock, sequence, lease in ms, seen, version, new sequence, snapshot, feed,
-- update, seats, was, now, most entries, longest age in ms.
-- A relay that leads no more is refused here, however late its words arrive.
"""
    + _LEADS
    + _NOW
    + _LINES
    + _FOLD
    + """
local before = redis.call('HGET', KEYS[2], 'entry') or ''
local entry = redis.call(
    'XADD', KEYS[4], 'MAXLEN', '~', ARGV[13], '*',
    'after', before, 'update', ARGV[9], 'seats', ARGV[10], 'was', ARGV[11], 'now', ARGV[12]
)
redis.call('XTRIM', KEYS[4], 'MINID', '~', string.format('%.0f', math.max(0, now - ARGV[14])))
fold(KEYS[3], lines(ARGV[10]), lines(ARGV[12]))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call(
    'HSET', KEYS[2], 'version', ARGV[5], 'sequence', ARGV[6], 'term', string.match(ARGV[1], '^%d+'), 'lock', ARGV[1],
    'entry', entry, 'snapshot', ARGV[7], 'feed', ARGV[8], 'alive', now, 'lease', ARGV[3]
)
if ARGV[4] ~= '' then
    redis.call('HSET', KEYS[2], 'seen', ARGV[4])
end
return 'ok'
"""
)

READ: Final = (
    """
-- KEYS meta, agents, events; ARGV the last entry that was read, how many more to return.
-- Returns what comes after it or, where the stream does not go on from it, everything as it is.
"""
    + _NOW
    + _FIELD
    + """
local meta = redis.call(
    'HMGET', KEYS[1], 'version', 'sequence', 'lock', 'entry', 'snapshot', 'feed', 'seen', 'alive', 'lease'
)
local last = ARGV[1]
local entries = {}
local follows = last ~= '' and meta[4] == last
if last ~= '' and meta[4] and not follows then
    entries = redis.call('XRANGE', KEYS[3], '(' .. last, '+', 'COUNT', ARGV[2])
    follows = entries[1] ~= nil and field(entries[1], 'after') == last
end
if follows then
    return {now, meta, entries}
end
return {now, meta, {}, redis.call('HVALS', KEYS[2])}
"""
)

TAKE: Final = (
    """
-- KEYS meta, agents, events, group, seen, work, due, owners; ARGV consumer, attempt, claim in ms.
-- Returns the entry and the work, an empty list where there is none, or nothing where the attempt is not the latest of
-- the consumer: what was on its way for long takes nothing that nobody would work on. Who asks has nothing in hand, and
-- so did not hear of what the attempt has taken already: that is given again. What is being worked on is kept here and
-- not only in the stream, so that a stream that is trimmed takes no work away.
"""
    + _NOW
    + _LINES
    + _FOLD
    + _FIELD
    + _JOIN
    + """
local taker = ARGV[2] .. ' ' .. ARGV[1]
local function hand_out(id, work)
    redis.call('ZADD', KEYS[7], string.format('%.0f', now + ARGV[3]), id)
    redis.call('HSET', KEYS[8], id, taker)
    return {id, work}
end
if redis.call('HGET', KEYS[4], 'attempt ' .. ARGV[1]) ~= ARGV[2] then
    return false
end

local owners = redis.call('HGETALL', KEYS[8])
for place = 1, #owners, 2 do
    if owners[place + 1] == taker then
        return hand_out(owners[place], redis.call('HGET', KEYS[6], owners[place]))
    end
end

local late = redis.call('ZRANGE', KEYS[7], '-inf', string.format('%.0f', now), 'BYSCORE', 'LIMIT', 0, 1)
if late[1] then
    return hand_out(late[1], redis.call('HGET', KEYS[6], late[1]))
end

local latest = redis.call('HGET', KEYS[1], 'entry')
local last = redis.call('HGET', KEYS[4], 'entry')
if not latest or last == latest then
    return {}
end
if not last then
    join(KEYS[1], KEYS[2], KEYS[4], KEYS[5])
    return {}
end

local entries = redis.call('XRANGE', KEYS[3], '(' .. last, '+', 'COUNT', 1)
local next = entries[1]
if next and field(next, 'after') == last then
    fold(KEYS[5], lines(field(next, 'seats')), lines(field(next, 'now')))
    redis.call('HSET', KEYS[4], 'entry', next[1])
    local work = cjson.encode({
        after = last, update = field(next, 'update'),
        seats = field(next, 'seats'), was = field(next, 'was'), now = field(next, 'now')
    })
    redis.call('HSET', KEYS[6], next[1], work)
    return hand_out(next[1], work)
end

-- The stream does not go on from there: the work is the difference between what the group has seen and what is known.
local function seats_of(hash)
    local found, pairs_of_it = {}, redis.call('HGETALL', hash)
    for place = 1, #pairs_of_it, 2 do
        found[pairs_of_it[place]] = pairs_of_it[place + 1]
    end
    return found
end
local seen, known = seats_of(KEYS[5]), seats_of(KEYS[2])
local seats, was, are = {}, {}, {}
local function differ(seat)
    if seen[seat] ~= known[seat] then
        seats[#seats + 1], was[#was + 1], are[#are + 1] = seat, seen[seat] or 'null', known[seat] or 'null'
    end
end
for seat in pairs(known) do
    differ(seat)
end
for seat in pairs(seen) do
    if not known[seat] then
        differ(seat)
    end
end
fold(KEYS[5], seats, are)
redis.call('HSET', KEYS[4], 'entry', latest)
local meta = redis.call('HMGET', KEYS[1], 'sequence', 'snapshot')
local work = cjson.encode({
    after = '-', sequence = meta[1], snapshot = meta[2],
    seats = table.concat(seats, '\\n'), was = table.concat(was, '\\n'), now = table.concat(are, '\\n')
})
redis.call('HSET', KEYS[6], latest, work)
return hand_out(latest, work)
"""
)

DONE: Final = """
-- KEYS work, due, owners; ARGV entry.
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
return redis.call('ZREM', KEYS[2], ARGV[1])
"""

TOUCH: Final = (
    """
-- KEYS due; ARGV entry, claim in ms. Its consumer is still at it.
"""
    + _NOW
    + """
return redis.call('ZADD', KEYS[1], 'XX', 'CH', string.format('%.0f', now + ARGV[2]), ARGV[1])
"""
)

BEGIN: Final = (
    """
-- KEYS group, due, owners, meta, agents, seen; ARGV consumer, attempt: whose, and a number that grows.
-- What the consumer took in earlier attempts is anybody's at once. This may arrive late too: what the same process took
-- in this attempt or in later ones stays with it. Returns 1, or 0 where the group cannot begin: nothing is published.
"""
    + _JOIN
    + """
join(KEYS[4], KEYS[5], KEYS[1], KEYS[6])
local whose, number = string.match(ARGV[2], '^(%S+) (%d+)$')
local latest_whose, latest = string.match(redis.call('HGET', KEYS[1], 'attempt ' .. ARGV[1]) or '', '^(%S+) (%d+)$')
if latest_whose ~= whose or tonumber(latest) < tonumber(number) then
    redis.call('HSET', KEYS[1], 'attempt ' .. ARGV[1], ARGV[2])
end
local owners = redis.call('HGETALL', KEYS[3])
for place = 1, #owners, 2 do
    local its, taken, consumer = string.match(owners[place + 1], '^(%S+) (%d+) (.*)$')
    if consumer == ARGV[1] and (its ~= whose or tonumber(taken) < tonumber(number)) then
        redis.call('ZADD', KEYS[2], 'XX', 0, owners[place])
    end
end
return redis.call('HGET', KEYS[1], 'entry') and 1 or 0
"""
)

LEAVE: Final = """
-- KEYS group, due, owners; ARGV consumer, whose: the process that leaves. What it has taken is anybody's at once, and
-- what it still has on its way takes nothing. Another process that has the name by now keeps it, and what it has taken.
local latest = redis.call('HGET', KEYS[1], 'attempt ' .. ARGV[1])
if latest and string.match(latest, '^(%S+) %d+$') == ARGV[2] then
    redis.call('HDEL', KEYS[1], 'attempt ' .. ARGV[1])
end
local owners = redis.call('HGETALL', KEYS[3])
for place = 1, #owners, 2 do
    local its, consumer = string.match(owners[place + 1], '^(%S+) %d+ (.*)$')
    if consumer == ARGV[1] and its == ARGV[2] then
        redis.call('ZADD', KEYS[2], 'XX', 0, owners[place])
    end
end
return 0
"""
