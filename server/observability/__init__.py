"""What a server tells of itself: metrics, traces, and a line of log for every call."""
