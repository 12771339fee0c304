"""Whether this machine can serve a profile, and what to do where it cannot."""
