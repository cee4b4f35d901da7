"""Plans which rows of two tables a batch joins, and joins exactly these: the tables and the ledger are all its state."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from decimal import ROUND_DOWN, Decimal
from typing import Any, Literal

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakeloop.core.errors import ConfigError
from lakeloop.core.run_record import now
from lakeloop.ingestion.source_specs.join import FAN_OUT, LATE, MATCH_RATE, JoinSource, Origin
from lakeloop.ingestion.sources.joins.columns import fitted
from lakeloop.ingestion.sources.joins.pairing import (
    PARTNERS,
    RIGHT_TIME,
    TIME,
    UP_SINCE,
    Measured,
    Rows,
    arrived,
    joined,
    measure,
    side_frame,
)
from lakeloop.ingestion.sources.joins.watermark import EPOCH, Arrived, Progress, Reach, Span, micros, moment, together
from lakeloop.ingestion.sources.probing import Check
from lakeloop.ingestion.sources.protocol import ORIGINAL, POSITION, RESCUED, Ended, Extract
from lakeloop.ingestion.sources.protocol import Progress as Say
from lakeloop.lake.increments import BATCH, Mark, added, has_moved, mark_of
from lakeloop.lake.ledger import Plan
from lakeloop.lake.tables import Lake
from lakeloop.quality import Finding
from lakeloop.quality.rules import value_of

SideName = Literal["left", "right"]
SIDES: tuple[SideName, SideName] = ("left", "right")


@dataclass(frozen=True)
class Stretch:
    """What of one table a batch looks at: the rows after `since` up to `until`, and what came with them."""

    since: Mark | None
    until: Mark
    came: Arrived = Arrived(0)

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> "Stretch":
        """What `asdict` gave."""
        return cls(values["since"], values["until"], Arrived(**values["came"]))


@dataclass(frozen=True)
class JoinReader:
    """Joins what is new of either table with what the other one has. `pipeline` is whose source it is."""

    lake: Lake
    spec: JoinSource
    pipeline: str

    def plan(self, last: Plan | None, say: Say, /) -> Plan | None:
        """From where the last batch ended up to where both tables stand now, with the watermark that follows.

        Raises TableError for a table that does not exist, ConfigError for tables that do not fit together or that do
        not only grow, and for a join that was declared otherwise before; SourceError for a table that was made anew.
        """
        if last is not None and "join" not in last.details:  # of another source that the pipeline had
            last = None
        before = last.details["join"] if last else None
        if before:
            self._require_same(before)
        since = {name: before[name]["until"] if before else None for name in SIDES}
        until = {name: self._mark(name) for name in SIDES}
        result = fitted(self.spec.join, until["left"]["columns"], until["right"]["columns"])
        if not any(has_moved(since[name], until[name]) for name in SIDES):
            return None
        say("looking what is new on both sides")
        clock = micros(now() - EPOCH)
        stretches = {name: Stretch(since[name], until[name]) for name in SIDES}
        came = {name: arrived(self._side(name, self._new(name, stretches[name]), result), clock) for name in SIDES}
        if not any(each.rows for each in came.values()):
            return None
        stretches = {name: Stretch(since[name], until[name], came[name]) for name in SIDES}
        progress = Progress.of_json(before["progress"]) if before else Progress()
        left, right = self.spec.join.left, self.spec.join.right
        progress = progress.after(came["left"], came["right"], left.delay, right.delay)
        details = {
            **{name: asdict(stretch) for name, stretch in stretches.items()},
            "progress": progress.as_json,
            "definition": self.spec.join.definition,
        }
        summary = self._summary(came, progress)
        if not self.spec.expect:
            return Plan({"join": details}, summary)
        found = measure(*self._sides(stretches, progress, result), self._reach, progress)
        violations, said = self._judged(found)
        return Plan({"join": details | {"up": asdict(found)}}, f"{summary}; {said}", violations=violations)

    def read(self, plan: Plan) -> Extract:
        """The new pairs and, for a left join, the rows that stay alone; with what is found of them."""
        details = plan.details["join"]
        self._require_same(details)
        stretches = {name: Stretch.of_json(details[name]) for name in SIDES}
        progress = Progress.of_json(details["progress"])
        result = fitted(
            self.spec.join, stretches["left"].until["columns"], stretches["right"].until["columns"]
        )
        left, right = self._sides(stretches, progress, result)
        counted = bool(self.spec.expect and self.spec.expect.fan_out)
        rows = joined(left, right, self._reach, progress, how=self.spec.join.how, counted=counted)
        given = {new: F.col(f"_{origin.side}")[new] for new, origin in result.items()}
        own = [name for name in (RIGHT_TIME, UP_SINCE, PARTNERS) if name in rows.columns]
        columns = rows.select(*(value.alias(new) for new, value in given.items()), *own)
        position = F.struct(F.lit(self.spec.origin).alias("origin"), F.lit(None).cast("bigint").alias("record"))
        original = F.struct(*(value_of(new) for new in given))
        framed = columns.withColumns({POSITION: position, ORIGINAL: original, RESCUED: F.lit(None).cast("string")})
        return Extract(framed, tuple(self._findings()))

    def probe(self) -> Iterator[Check]:
        """Look whether both tables are there, fit together, and how far they have come."""
        marks = {name: self._mark(name) for name in SIDES}
        tables = {name: self.spec.inputs[name] for name in SIDES}
        yield Check("reachable", ", ".join(f"{tables[name]} batch {marks[name]['at']}" for name in SIDES))
        yield Check("permitted", "tables of the lake")
        result = fitted(self.spec.join, marks["left"]["columns"], marks["right"]["columns"])
        yield Check("schema", f"{len(result)} columns: {', '.join(result)}")
        clock = micros(now() - EPOCH)
        found = {name: arrived(self._side(name, self._new(name, Stretch(None, marks[name])), result), clock) for name in SIDES}
        reaches = (
            f"{side.event_time} of {side.table} reaches {moment(newest)}"
            if (newest := found[name].newest) is not None
            else f"no row of {side.table} has a {side.event_time} that the clock has reached"
            for name, side in self.spec.join.sides.items()
        )
        yield Check("freshness", "; ".join(reaches))
        yield Check("volume", ", ".join(f"{found[name].rows:,} rows of {tables[name]}" for name in SIDES))

    def finish(self, ended: Ended) -> None:
        """Nothing is noted: the marks stand in the plan."""

    def release(self, plan: Plan) -> None:
        """Nothing is held."""

    @property
    def _reach(self) -> Reach:
        within = self.spec.join.within
        return Reach(micros(within.before), micros(within.after))

    def _mark(self, name: SideName) -> Mark:
        table = self.spec.inputs[name]
        mark = mark_of(self.lake, table)
        if mark["feed"] is not None:
            raise ConfigError(
                f"{self.pipeline}: the rows of {table} may change, and a pair that was given out could not follow; a join "
                "takes tables that only grow, whose sink has mode append. For one that describes things take `enrich: "
                "lookup`, else a source with `query`"
            )
        return mark

    def _require_same(self, before: Mapping[str, Any]) -> None:
        declared = self.spec.join.definition
        if changed := [key for key, value in declared.items() if before["definition"][key] != value]:
            raise ConfigError(
                f"{self.pipeline}: the join was declared otherwise when its last batch was planned ({', '.join(changed)}), "
                "and what it gave out would not fit what it would give now; put that back, declare a pipeline of another "
                f"name, or `lakeloop stream reset {self.pipeline}`, which joins everything anew"
            )

    def _new(self, name: SideName, stretch: Stretch) -> DataFrame:
        return added(self.lake, self.spec.inputs[name], stretch.since, stretch.until)

    def _side(self, name: SideName, rows: DataFrame, result: Mapping[str, Origin]) -> DataFrame:
        join = self.spec.join
        return side_frame(rows, name, join.keys(name), join.sides[name].event_time, result)

    def _sides(
        self, stretches: Mapping[SideName, Stretch], progress: Progress, result: Mapping[str, Origin]
    ) -> tuple[Rows, Rows]:
        """Both sides, with as little of what is old as can matter to this batch."""
        reach, new = self._reach, {name: stretches[name].came.span for name in SIDES}
        met = reach.left_of(new["right"]) if new["right"] else None
        up = reach.closing(progress) if self.spec.join.how == "left" or self.spec.expect else None
        counts = met if self.spec.expect and self.spec.expect.fan_out else None
        left = together([met, up])
        right = together(reach.right_of(each) for each in (new["left"], up, counts) if each is not None)
        return self._rows("left", stretches["left"], left, result), self._rows("right", stretches["right"], right, result)

    def _rows(
        self, name: SideName, stretch: Stretch, spans: list[Span], result: Mapping[str, Origin]
    ) -> Rows:
        # All rows up to the new mark, so that a column that came with the new rows is there, as NULL.
        old = added(self.lake, self.spec.inputs[name], None, stretch.until)
        time = value_of(self.spec.join.sides[name].event_time).cast("timestamp")
        near = F.lit(False)
        for span in spans if stretch.since is not None else ():
            near = near | time.between(F.timestamp_micros(F.lit(span.first)), F.timestamp_micros(F.lit(span.last)))
        if stretch.since is not None:
            near = near & (F.col(BATCH) <= stretch.since["at"])
        return Rows(self._side(name, self._new(name, stretch), result), self._side(name, old.where(near), result))

    def _findings(self) -> Iterator[Finding]:
        join, expect = self.spec.join, self.spec.expect
        left, right = join.left, join.right
        if join.how == "left":
            text = F.concat(
                F.lit(f"{right.event_time}: found "), F.timestamp_micros(RIGHT_TIME).cast("string"),
                F.lit(f", which came when the time of its row of {left.table} was up, at "),
                F.timestamp_micros(UP_SINCE).cast("string"), F.lit("; that row had been given out for good"),
            )  # fmt: skip
            yield Finding(LATE, F.when(F.col(UP_SINCE).isNotNull(), text))
        if expect and expect.fan_out:
            most = expect.fan_out.at_most
            text = F.concat(
                F.lit(f"{', '.join(join.on)}: found "), F.col(PARTNERS).cast("string"),
                F.lit(f" rows of {right.table} for one of {left.table}, expected at most {most}"),
            )  # fmt: skip
            yield Finding(FAN_OUT, F.when(F.col(PARTNERS) > most, text), expect.fan_out.severity)

    def _summary(self, came: Mapping[SideName, Arrived], progress: Progress) -> str:
        join = self.spec.join
        said = " and ".join(f"{came[name].rows:,} new rows of {side.table}" for name, side in join.sides.items())
        if join.left.delay is None or join.right.delay is None:
            return said
        if progress.watermark is None:
            return f"{said}; no watermark, as a side has no row with a time"
        return f"{said}; watermark {moment(progress.watermark)}"

    def _judged(self, found: Measured) -> tuple[tuple[tuple[str, str, int], ...], str]:
        """What the batch violates, and in words how the left rows fared whose time was up."""
        expected = self.spec.expect.match_rate if self.spec.expect else None
        if not found.rows:
            return ((MATCH_RATE, expected.severity, 0),) if expected else (), "no row's time was up"
        share = (Decimal(found.matched * 100) / found.rows).quantize(Decimal("0.01"), ROUND_DOWN)
        said = (
            f"{found.matched:,} of {found.rows:,} rows of {self.spec.join.left.table} whose time was up matched "
            f"({share}%), {found.most:,} rows at most"
        )
        if expected is None:
            return (), said
        short = found.matched * 100 < expected.at_least * found.rows
        alone = found.rows - found.matched if short else 0
        return ((MATCH_RATE, expected.severity, alone),), said + (f", expected at least {expected.at_least}%" if short else "")
