-- wrk's side of the single-event POST: every request has an event_id of its own. After `--`: a name for the run.
local threads = 0

function setup(thread)
  threads = threads + 1
  thread:set("number", threads)
end

-- All parts have a fixed width, so that the request is put together without counting its bytes.
function init(args)
  local run = args[1] or "run"
  count = 0
  before = '{"event_id":"' .. run .. "-" .. number .. "-"
  local body = before .. string.format("%012d", 0) .. '","ad_id":1000' .. after_ad("0000")
  head = "POST /api/v1/ads/click HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: " .. #body .. "\r\n\r\n" .. before
end

function after_ad(visitor)
  return ',"user_ip":"2001:db8::' .. visitor .. '","agent":"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",'
    .. '"play_time_secs":30,"watched_percent":80}'
end

function request()
  count = count + 1
  return head .. string.format("%012d", count) .. '","ad_id":' .. (1000 + count % 1000) .. after_ad(string.format("%04x", count % 65536))
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format('RESULT {"requests":%d,"seconds":%.6f,"p50_ms":%.3f,"p99_ms":%.3f,"errors":%d}\n', summary.requests, summary.duration / 1e6,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
