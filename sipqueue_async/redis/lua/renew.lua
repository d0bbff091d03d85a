-- Renew the lock. With `confirms` = 1, also confirm that the last publication is up to date: only a relay that has
-- polled the platform in this term may, and only while Redis still holds that publication.
-- keys: leader meta
-- arguments: lock sequence lease seen confirms
-- uses: leads
redis.call('HSET', meta, 'lease', lease)
if confirms == '1' then
    redis.call('HSET', meta, 'confirmed', renewals)
    if seen ~= '' then
        redis.call('HSET', meta, 'seen', seen)
    end
end
return 'ok'
