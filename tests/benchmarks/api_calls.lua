-- Requests for wrk: the same call again and again. FEEDD_SHOT names a file with four lines: the method, the path, the key, the body.
-- FEEDD_MARK in the body is replaced by a number that no other request has.

local lines = {}
for line in io.lines(os.getenv("FEEDD_SHOT")) do lines[#lines + 1] = line end
local method, path, key, body = lines[1], lines[2], lines[3], lines[4] or ""
local mark = os.getenv("FEEDD_MARK")
local headers = {
  ["Authorization"] = "Klaviyo-API-Key " .. key,
  ["Content-Type"] = "application/vnd.api+json",
  ["revision"] = "2026-07-15",
}
local number = os.time() * 100000

function request()
  number = number + 1
  if body == "" then return wrk.format(method, path, headers) end
  return wrk.format(method, path, headers, (body:gsub(mark, string.format("%d", number))))
end

answered = 0

function response(status, _, text)
  answered = answered + 1
  if status >= 300 then
    io.stderr:write("unexpected answer: ", status, " ", text:sub(1, 300), "\n")
    os.exit(1)
  end
end

local threads = {}
function setup(thread) threads[#threads + 1] = thread end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    "RESULT %d %d %.3f %.3f %d\n", threads[1]:get("answered"), summary.duration, latency:percentile(50) / 1000,
    latency:percentile(99) / 1000, errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
