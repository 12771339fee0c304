"""What /proc says of a process and its descendants."""

import time
from collections.abc import Callable
from pathlib import Path


def descendants(pid: int) -> set[int]:
    parents = dict(_parents())
    found: set[int] = set()
    frontier = {pid}
    while frontier:
        frontier = {child for child, parent in parents.items() if parent in frontier} - found
        found |= frontier
    return found


def exists(pid: int) -> bool:
    """Whether the process is there, be it as a zombie."""
    return Path(f"/proc/{pid}").exists()


def command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")


def traces(pids: set[int]) -> list[Path]:
    """What the embedded Triton of these processes has in shared memory and temporary folders."""
    [supervisor] = [pid for pid in pids if "supervise.py" in command(pid)]
    _, _, options = command(supervisor).partition("supervise.py ")
    _, shm_prefix, work_dir, *_ = options.split()
    folder = Path(work_dir)
    return [*Path("/dev/shm").glob(f"{shm_prefix}*"), *([folder] if folder.exists() else [])]


def until(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _parents() -> list[tuple[int, int]]:
    pairs = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                stat = (folder / "stat").read_text()
            except OSError:
                continue
            # The name in parentheses may hold spaces; the parent is the second field after it.
            pairs.append((int(folder.name), int(stat.rpartition(")")[2].split()[1])))
    return pairs
