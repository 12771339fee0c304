"""A conversation of our own, and the demonstration that runs on it."""
