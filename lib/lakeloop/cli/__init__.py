"""The `lakeloop` command: the verbs for people, with a progress bar, a table at the end and the next thing to type.

A module for each kind of thing that people handle; `terminal.py` has what all of them print with.
"""

from lakeloop.cli.app import app, main

__all__ = ["app", "main"]
