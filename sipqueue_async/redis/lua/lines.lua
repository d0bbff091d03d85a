-- Split a text into its lines.
local function lines(text)
    local found = {}
    for line in string.gmatch(text, '[^\n]+') do
        found[#found + 1] = line
    end
    return found
end
