"""The `lakeloop` command: the verbs for people, with a progress bar, a table at the end and the next thing to type.

A module for each kind of thing that people handle; `terminal.py` has what all of them print with.
"""

import sys
from typing import Any

from lakeloop.cli.command import build

__all__ = ["app", "main"]


def main() -> None:
    """Console entry point."""
    build(sys.argv[1] if len(sys.argv) > 1 else "")()


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(f"module {__name__} has no {name}")
    return build()
