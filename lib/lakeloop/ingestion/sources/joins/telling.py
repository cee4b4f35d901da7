"""What a join says: of rows that are not good, of the tables it reads, of what a batch came to."""

from collections.abc import Iterator, Mapping
from decimal import ROUND_DOWN, Decimal

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakeloop.ingestion.source_specs.join import FAN_OUT, LATE, MATCH_RATE, JoinSource, SideName
from lakeloop.ingestion.sources.joins.pairing import PARTNERS, RIGHT_TIME, UP_SINCE, Measured
from lakeloop.ingestion.sources.joins.watermark import Arrived, Progress, moment
from lakeloop.quality import Finding


def findings(spec: JoinSource) -> Iterator[Finding]:
    """What may be wrong with a row of the result: it came too late, or its left row has too many partners."""
    join, expect = spec.join, spec.expect
    left, right = join.left, join.right
    if join.how == "left":
        text = F.concat(
            F.lit(f"{right.event_time}: found "), _shown(RIGHT_TIME),
            F.lit(f", but the row of {left.table} had been given out for good when the watermark passed "),
            _shown(UP_SINCE),
        )  # fmt: skip
        yield Finding(LATE, F.when(F.col(UP_SINCE).isNotNull(), text))
    if expect and expect.fan_out:
        most = expect.fan_out.at_most
        text = F.concat(
            F.lit(f"{', '.join(join.on)}: found "), F.col(PARTNERS).cast("string"),
            F.lit(f" rows of {right.table} for one of {left.table}, expected at most {most}"),
        )  # fmt: skip
        yield Finding(FAN_OUT, F.when(F.col(PARTNERS) > most, text), expect.fan_out.severity)


def summary(spec: JoinSource, came: Mapping[SideName, Arrived], progress: Progress) -> str:
    """What came to both sides, and the watermark where somebody waits for it."""
    sides = spec.join.sides
    said = " and ".join(f"{came[name].rows:,} new rows of {side.table}" for name, side in sides.items())
    if any(side.delay is None for side in sides.values()):
        return said
    if progress.watermark is None:
        return f"{said}; no watermark yet, as a side has no row with a time"
    return f"{said}; watermark {moment(progress.watermark)}"


def judged(spec: JoinSource, found: Measured) -> tuple[tuple[tuple[str, str, int], ...], str]:
    """The expectation on the match rate as (rule, severity, rows), and how rows fared whose time was up, in words.

    The rows are those without a partner where they are more than expected, else 0.
    """
    expected = spec.expect.match_rate if spec.expect else None
    if not found.rows:
        return ((MATCH_RATE, expected.severity, 0),) if expected else (), "no row's time was up"
    share = (Decimal(found.matched * 100) / found.rows).quantize(Decimal("0.01"), ROUND_DOWN)
    said = (
        f"of {found.rows:,} rows of {spec.join.left.table} whose time was up {found.matched:,} matched ({share}%), "
        f"at most {found.most:,} times"
    )
    if expected is None:
        return (), said
    if found.matched * 100 >= expected.at_least * found.rows:
        return ((MATCH_RATE, expected.severity, 0),), said
    alone = found.rows - found.matched
    return ((MATCH_RATE, expected.severity, alone),), f"{said}, expected at least {expected.at_least}%"


def _shown(time: str) -> Column:
    return F.timestamp_micros(F.col(time)).cast("string")
