"""Backfill: `spark-submit … jobs/backfill_pipeline.py usage --from 2026-03-01 --to 2026-03-08`.

Beside it `watch_pipelines.py` and `run_pipeline.py` may work on the same pipeline; they take turns with it.
"""

import argparse
from collections.abc import Sequence

from lakeloop import entry_point, verbs
from lakeloop.lake.ledger import BACKFILL


def main(argv: Sequence[str] | None = None) -> None:
    """Read a part of a pipeline's source again; prints what each batch did as JSON lines."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("name")
    parser.add_argument("--from", dest="first", required=True)
    parser.add_argument("--to", dest="until")
    parser.add_argument("--dry-run", action="store_true")
    project, context, arguments = entry_point.start(BACKFILL, parser, argv)
    asked = verbs.Asked(arguments.first, arguments.until)
    for entry in verbs.backfill(project, arguments.name, asked, context, dry_run=arguments.dry_run):
        entry_point.report(entry)


if __name__ == "__main__":
    main()
