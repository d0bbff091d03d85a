-- Acknowledge an entry of a group.
-- keys: work due owners
-- arguments: entry
redis.call('HDEL', work, entry)
redis.call('HDEL', owners, entry)
return redis.call('ZREM', due, entry)
