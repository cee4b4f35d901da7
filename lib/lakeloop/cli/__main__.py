"""`python -m lakeloop.cli` is `lakeloop`."""

from lakeloop.cli import main

main()
