-- Extend a consumer's claim to the entry it works on.
-- keys: due
-- arguments: entry claim
-- uses: now
return redis.call('ZADD', due, 'XX', 'CH', string.format('%.0f', now + claim), entry)
