-- Extend a consumer's claim to the work it is doing.
-- keys: due
-- arguments: entry claim
-- uses: now
return redis.call('ZADD', due, 'XX', 'CH', string.format('%.0f', now + claim), entry)
