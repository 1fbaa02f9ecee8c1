-- Requests for wrk: tracked events, each with an id of its own. FEEDD_SHOT names a file with four lines: the method, and three parts
-- of the payload, between which the number of the person (6 digits) and that of the event (12 digits) go. Each part is as long as
-- base64 takes whole bytes, so that a payload is put together from parts that are encoded once.

local lines = {}
for line in io.lines(os.getenv("FEEDD_SHOT")) do lines[#lines + 1] = line end
local method, head, middle, tail = lines[1], lines[2], lines[3], lines[4]
local people = tonumber(os.getenv("FEEDD_PEOPLE"))
local number = tonumber(os.getenv("FEEDD_FIRST"))

local letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
local function encode3(text)
  local bits = text:byte(1) * 65536 + text:byte(2) * 256 + text:byte(3)
  local out = {}
  for place = 4, 1, -1 do
    local digit = bits % 64
    out[place] = letters:sub(digit + 1, digit + 1)
    bits = (bits - digit) / 64
  end
  return table.concat(out)
end
local function encode(text)
  local out = {}
  for place = 1, #text, 3 do out[#out + 1] = encode3(text:sub(place, place + 2)) end
  return table.concat(out)
end

local thousand = {}
for value = 0, 999 do
  local text = string.format("%03d", value)
  thousand[value] = method == "GET" and encode3(text) or text
end
local function digits(value, groups)
  local out = {}
  for place = groups, 1, -1 do
    out[place] = thousand[value % 1000]
    value = math.floor(value / 1000)
  end
  return table.concat(out)
end

if method == "GET" then
  head, middle, tail = encode(head), encode(middle), encode(tail)
end
local form = { ["Content-Type"] = "application/x-www-form-urlencoded" }

function request()
  number = number + 1
  local person = (number * 7919) % people
  local data = head .. digits(person, 2) .. middle .. digits(number, 4) .. tail
  if method == "GET" then return wrk.format("GET", "/api/track?data=" .. data) end
  return wrk.format("POST", "/api/track", form, "data=" .. data)
end

answered = 0

function response(status, _, body)
  answered = answered + 1
  if status ~= 200 or body ~= "1" then
    io.stderr:write("unexpected answer: ", status, " ", body:sub(1, 300), "\n")
    os.exit(1)
  end
end

local threads = {}
function setup(thread) threads[#threads + 1] = thread end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    "RESULT %d %d %.3f %.3f %.3f %d\n", threads[1]:get("answered"), summary.duration, latency:percentile(50) / 1000,
    latency:percentile(99) / 1000, latency.max / 1000,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
