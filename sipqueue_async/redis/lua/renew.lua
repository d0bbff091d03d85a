-- Renew the lock. With `confirms` = 1, also confirm that the last publication is up to date. A relay confirms only after a
-- good poll in this term, and only while that publication is the last one in Redis.
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
