-- What pinif says of each packet that it captured (pinif audit --capture), as fields to filter by:
--
--   tshark -r FILE -X lua_script:pinif.lua -Y 'pinif.finding.id == "0123456789ab"'
--
-- Wireshark loads it from the folder of its Lua plugins (Help > About Wireshark > Folders). The words of the comment, and what each means, are
-- in docs/capture.md of pinif.

local pinif = Proto("pinif", "pinif: the finding that this packet is of")
local comments = Field.new("frame.comment")

-- A field for each word of the comment. A word that is not here is left alone.
local FIRST = "pinif.finding.id"
local words = {
  [FIRST] = ProtoField.string("pinif.finding.id", "Finding"),
  kind = ProtoField.string("pinif.kind", "Kind"),
  severity = ProtoField.string("pinif.severity", "Severity"),
  direction = ProtoField.string("pinif.direction", "Direction"),
  dropped = ProtoField.bool("pinif.dropped", "Dropped"),
  interface = ProtoField.string("pinif.interface", "Interface"),
  netns = ProtoField.string("pinif.netns", "Network namespace"),
  bound = ProtoField.string("pinif.bound", "Bound device"),
  rule = ProtoField.string("pinif.rule", "Rule"),
  process = ProtoField.string("pinif.process", "Process"),
  pid = ProtoField.uint32("pinif.pid", "Process id"),
  packet = ProtoField.uint32("pinif.packet", "Packet of the finding"),
}
for _, field in pairs(words) do
  table.insert(pinif.fields, field)
end

-- Names are encoded as in URLs (RFC 3986, 2.1).
local function decoded(value)
  return (value:gsub("%%(%x%x)", function(digits)
    return string.char(tonumber(digits, 16))
  end))
end

local function typed(key, value)
  if key == "dropped" then
    return value == "yes"
  elseif key == "pid" or key == "packet" then
    return tonumber(value)
  end
  return decoded(value)
end

-- Adds the fields of a comment, if it is one of pinif's.
local function add(comment, tree)
  if comment:sub(1, #FIRST + 1) ~= FIRST .. "=" then
    return
  end
  local subtree = tree:add(pinif)
  subtree:set_generated()
  for key, value in comment:gmatch("([^ =]+)=(%S*)") do
    local shown = typed(key, value)
    if words[key] and shown ~= nil then
      subtree:add(words[key], shown):set_generated()
    end
  end
end

function pinif.dissector(_, _, tree)
  for _, comment in ipairs({ comments() }) do
    add(tostring(comment.value), tree)
  end
end

register_postdissector(pinif)
