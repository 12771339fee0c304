"""A page for people, on top of HTTP: plain HTML, CSS and JavaScript modules (docs/console.md)."""
