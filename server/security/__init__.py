"""Who may call, on whose behalf, and what keeps the connection private (docs/security.md)."""
