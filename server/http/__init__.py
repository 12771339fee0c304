"""An HTTP door to the gRPC service: JSON, server-sent events, OpenAPI (docs/http.md).

It has no logic of its own: every request becomes one gRPC call of this same process, by a socket
file, so that credentials, limits, deadlines, cancellation and observability are those of gRPC. The
gate is asked twice, here too: whoever it refuses shall not have his body read.
"""
