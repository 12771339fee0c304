"""A server over scripted models: `python -m tests.chaos.scripted_server DATA_DIR`.

Prints its address, and serves until it is killed.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from tests.served import served

if __name__ == "__main__":
    with served(Path(sys.argv[1])) as address:
        print(address, flush=True)
        signal.pause()
