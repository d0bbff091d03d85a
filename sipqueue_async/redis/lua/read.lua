-- Return at most `count` entries after `last`; the whole state if entries are missing or `last` is empty.
-- keys: meta agents events
-- arguments: last count
-- uses: field
local head = redis.call('HMGET', meta, 'version', 'confirmed', 'renewals', 'alive', 'lease', 'seen', 'feed')
local published = redis.call('HMGET', meta, 'sequence', 'lock', 'entry', 'snapshot')
local latest = published[3]
local entries = {}
local follows = last ~= '' and latest == last
if last ~= '' and latest and not follows then
    entries = redis.call('XRANGE', events, '(' .. last, '+', 'COUNT', count)
    follows = entries[1] ~= nil and field(entries[1], 'after') == last
end
if follows then
    return {head, published, entries}
end
return {head, published, {}, redis.call('HVALS', agents)}
