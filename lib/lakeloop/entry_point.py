"""What jobs have in common: the options of every job, and one JSON line per result on standard output."""

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from lakeloop.core import logs
from lakeloop.core.config import Project
from lakeloop.core.run_record import RunContext
from lakeloop.lake.ledger import RunEntry


def start(
    verb: str, parser: argparse.ArgumentParser, argv: Sequence[str] | None
) -> tuple[Project, RunContext, argparse.Namespace]:
    """Parse `argv` with `--conf-dir` and `--env` added, and send logs to standard error."""
    parser.add_argument("--conf-dir", type=Path, default=Path("conf"))
    parser.add_argument("--env", default="local")
    arguments = parser.parse_args(argv)
    logs.configure()
    return Project(arguments.conf_dir, arguments.env), RunContext(verb, arguments.env), arguments


def report(entry: RunEntry) -> None:
    """Print how a run ended."""
    sys.stdout.write(json.dumps(dataclasses.asdict(entry), default=str) + "\n")
