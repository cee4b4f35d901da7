"""`python -m lakeloop.cli` is `lakeloop`."""

from lakeloop.cli.app import main

main()
