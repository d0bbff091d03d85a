-- Write records into a hash, by seat; `null` removes the seat.
local function fold(hash, seats, records)
    for index, seat in ipairs(seats) do
        if records[index] == 'null' then
            redis.call('HDEL', hash, seat)
        else
            redis.call('HSET', hash, seat, records[index])
        end
    end
end
