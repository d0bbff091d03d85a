-- Return the kind of a feed event in JSON, or nil. `cjson` would refuse the halves of surrogate pairs that it may quote.
local function feed_kind(event)
    return event and string.match(event, '^{"event":"([%a-]+)"')
end
