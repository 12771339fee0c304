"""llama.cpp's own HTTP server, in a process of its own: `llama_server.py MODEL KEY`.

It prints its address once it answers, and ends when its stdin does.
"""

import sys

import xllamacpp


def main(model: str, key: str) -> None:
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [key]
    # One thread and plain weights: threads that wait for one another are slow on a busy machine.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.no_extra_bufts = True
    params.n_ctx = 4096
    params.n_parallel = 1
    params.warmup = False
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
