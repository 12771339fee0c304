"""What hardware should carry: arithmetic over stated assumptions. Nothing here was run on a GPU.

    python -m benchmarks.capacity          # the tables of docs/scaling.md
    python -m benchmarks.capacity --json

`hardware` and `workload` are the assumptions, each with its source; `throughput`, `storage` and
`growth` are the arithmetic.
"""
