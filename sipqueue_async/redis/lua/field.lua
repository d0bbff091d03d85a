-- Return a field of a stream entry, or ''.
local function field(entry, name)
    for index = 1, #entry[2], 2 do
        if entry[2][index] == name then
            return entry[2][index + 1]
        end
    end
    return ''
end
