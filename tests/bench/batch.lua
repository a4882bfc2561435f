-- wrk's side of the batch: NDJSON in which every event has an event_id and a visitor of its own. After `--`: a name for the run and
-- the events of a batch.
local threads = 0

function setup(thread)
  threads = threads + 1
  thread:set("number", threads)
end

-- Only the request's number differs from one batch to the next: it is what the fixed pieces are joined with, in each event's id and,
-- as three groups of an IPv6 address, in its visitor.
function init(args)
  local run, events = args[1] or "run", tonumber(args[2] or "500")
  count = 0
  pieces = {}
  local open = '{"type":"click","event_id":"' .. run .. "-" .. number .. "-"
  for i = 1, events do
    local visitor = string.format(":%x:%x", number, i)
    pieces[2 * i - 1] = (i == 1 and "" or pieces[2 * i - 1]) .. open
    pieces[2 * i] = string.format('-%05d","ad_id":%d,"user_ip":"2001:db8:0:', i, 1000 + i * 7919 % 1000)
    pieces[2 * i + 1] = visitor .. '","agent":"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0","play_time_secs":30,"watched_percent":80}\n'
  end
  head = "POST /api/v1/ads/events HTTP/1.1\r\nHost: bench\r\nContent-Type: application/x-ndjson\r\nContent-Length: "
    .. #table.concat(pieces, numbered(0)) .. "\r\n\r\n"
end

function numbered(n)
  return string.format("%04d:%04d:%04d", math.floor(n / 1e8), math.floor(n / 1e4) % 1e4, n % 1e4)
end

function request()
  count = count + 1
  return head .. table.concat(pieces, numbered(count))
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format('RESULT {"requests":%d,"seconds":%.6f,"bytes":%d,"p50_ms":%.3f,"p99_ms":%.3f,"refused":%d,"errors":%d}\n', summary.requests,
    summary.duration / 1e6, summary.bytes, latency:percentile(50) / 1000, latency:percentile(99) / 1000, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
