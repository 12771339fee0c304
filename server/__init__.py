"""The gRPC server and the Triton that it embeds."""
