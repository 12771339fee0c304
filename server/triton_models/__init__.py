"""The models that run inside Triton's Python backend.

`backbone`, `encoder` and `tagger` hold the classes that Triton loads; together with `pb` they are
the only modules that need Triton around them. The rest is ordinary code.
"""
