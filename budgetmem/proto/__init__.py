"""The gRPC contract: `budgetmem/v1/memory.proto` and the code generated from it."""
