"""Open-loop load on a real server: latency counts from when a question was due, not from when a
busy generator got round to sending it."""
