-- What wrk measured, for a program to read: requests, bytes, microseconds, and what went wrong.
done = function(summary, latency, requests)
  local e = summary.errors
  local bad = e.connect + e.read + e.write + e.status + e.timeout
  print("summary", summary.requests, summary.bytes, summary.duration, bad)
end
