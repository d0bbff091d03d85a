-- Publish the successor of publication `sequence`. A relay that has lost the lock is refused.
-- keys: leader meta agents events
-- arguments: lock sequence lease seen confirms version new_sequence snapshot feed update seats was now max_entries max_age
-- uses: leads lines fold
if confirms == '1' then
    redis.call('HSET', meta, 'confirmed', renewals)
    if seen ~= '' then
        redis.call('HSET', meta, 'seen', seen)
    end
end
local before = redis.call('HGET', meta, 'entry') or ''
local entry = redis.call(
    'XADD', events, 'MAXLEN', '~', max_entries, '*',
    'after', before, 'confirmed', redis.call('HGET', meta, 'confirmed') or 0,
    'update', update, 'seats', seats, 'was', was, 'now', now
)
local oldest = string.match(entry, '^%d+') - max_age
redis.call('XTRIM', events, 'MINID', '~', string.format('%.0f', math.max(0, oldest)))
fold(agents, lines(seats), lines(now))
redis.call(
    'HSET', meta, 'version', version, 'sequence', new_sequence, 'term', string.match(lock, '^%d+'), 'lock', lock,
    'entry', entry, 'snapshot', snapshot, 'feed', feed, 'lease', lease
)
return 'ok'
