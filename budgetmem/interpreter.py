"""Modules run as programs, by this Python in a process of its own."""

from __future__ import annotations

import sys

_RUN = (
    "import sys; sys.path[:] = [folder for folder in sys.path if folder]; del sys.argv[0]; "
    "import runpy; runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
)
"""Python's own -P is 3.11's, and -I would also leave out PYTHONPATH and the user's packages."""


def module_command(module: str, *arguments: str) -> list[str]:
    """The command `python -m MODULE ARGUMENTS`, except that nothing in the current folder is run.

    `-m` itself looks there first, whatever a file of the module's name in it may do.
    """
    return [sys.executable, "-c", _RUN, module, *arguments]
