"""Plans which rows of two tables a batch joins, and joins exactly these; what it knows stands in the plans."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakeloop.core.errors import ConfigError
from lakeloop.core.run_record import now
from lakeloop.ingestion.source_specs.join import JoinSource, Origin, SideName
from lakeloop.ingestion.sources.joins.columns import fitted
from lakeloop.ingestion.sources.joins.pairing import (
    PARTNERS,
    RIGHT_TIME,
    UP_SINCE,
    Rows,
    arrived,
    joined,
    measure,
    side_frame,
)
from lakeloop.ingestion.sources.joins.telling import findings, judged, summary
from lakeloop.ingestion.sources.joins.watermark import EPOCH, Arrived, Progress, Reach, Span, micros, moment, needed
from lakeloop.ingestion.sources.probing import Check
from lakeloop.ingestion.sources.protocol import ORIGINAL, POSITION, RESCUED, Ended, Extract
from lakeloop.ingestion.sources.protocol import Progress as Say
from lakeloop.lake.increments import BATCH, Mark, added, has_moved, mark_of
from lakeloop.lake.ledger import Plan
from lakeloop.lake.tables import Lake
from lakeloop.quality.row_rules.columns import value_of


@dataclass(frozen=True)
class Stretch:
    """The rows of one table after `since` up to `until`, and what is known of them."""

    since: Mark | None
    until: Mark
    came: Arrived = field(default_factory=Arrived)


@dataclass(frozen=True)
class Step:
    """One batch: what is new of each side, how far event time has come, and the columns of the result."""

    stretches: Mapping[SideName, Stretch]
    result: Mapping[str, Origin]
    progress: Progress = field(default_factory=Progress)


@dataclass(frozen=True)
class JoinReader:
    """Joins what is new of either table with what the other one has. `pipeline` is whose source it is."""

    lake: Lake
    spec: JoinSource
    pipeline: str

    def plan(self, last: Plan | None, say: Say, /) -> Plan | None:
        """From where the last batch ended up to where both tables stand now, with the watermark that follows.

        Raises TableError for a table that does not exist; ConfigError for tables that do not fit together or do not
        only grow, and for a join that was declared otherwise before; SourceError for a table that was made anew.
        """
        if last is not None and "join" not in last.details:  # of another source that the pipeline had
            last = None
        before = last.details["join"] if last else None
        if before:
            self._require_same(before)
        until = self._marks()
        since: dict[SideName, Mark | None] = {name: before[name]["until"] if before else None for name in until}
        result = fitted(self.spec.join, until["left"]["columns"], until["right"]["columns"])
        if not any(has_moved(since[name], until[name]) for name in until):
            return None
        say("looking what is new on both sides")
        came = {name: self._arrived(name, Stretch(since[name], until[name]), result) for name in until}
        if not any(each.rows for each in came.values()):
            return None
        left, right = self.spec.join.left, self.spec.join.right
        progress = Progress(**before["progress"]) if before else Progress()
        progress = progress.after(came["left"], came["right"], left.delay, right.delay)
        step = Step({name: Stretch(since[name], until[name], came[name]) for name in until}, result, progress)
        details = {
            "left": asdict(step.stretches["left"]),
            "right": asdict(step.stretches["right"]),
            "progress": asdict(progress),
            "definition": self.spec.join.definition,
        }
        said = summary(self.spec, came, progress)
        say(said)
        if not self.spec.expect:
            return Plan({"join": details}, said)
        found = measure(*self._sides(step), self._reach, progress)
        violations, fared = judged(self.spec, found)
        return Plan({"join": details | {"up": asdict(found)}}, f"{said}; {fared}", violations=violations)

    def read(self, plan: Plan) -> Extract:
        """The new pairs and, for a left join, the rows that stay alone; with what is found of them."""
        details = plan.details["join"]
        self._require_same(details)
        stretches = {name: _stretch(details[name]) for name in self.spec.join.sides}
        columns = {name: stretch.until["columns"] for name, stretch in stretches.items()}
        result = fitted(self.spec.join, columns["left"], columns["right"])
        step = Step(stretches, result, Progress(**details["progress"]))
        counted = bool(self.spec.expect and self.spec.expect.fan_out)
        rows = joined(*self._sides(step), self._reach, step.progress, how=self.spec.join.how, counted=counted)
        given = [F.col(f"_{origin.side}")[new].alias(new) for new, origin in result.items()]
        own = [name for name in (RIGHT_TIME, UP_SINCE, PARTNERS) if name in rows.columns]
        position = F.struct(F.lit(self.spec.origin).alias("origin"), F.lit(None).cast("bigint").alias("record"))
        original = F.struct(*(value_of(new) for new in result))
        framed = rows.select(*given, *own).withColumns({
            POSITION: position, ORIGINAL: original, RESCUED: F.lit(None).cast("string"),
        })  # fmt: skip
        return Extract(framed, tuple(findings(self.spec)))

    def probe(self) -> Iterator[Check]:
        """Look whether both tables are there and fit together, and how far they have come."""
        marks, sides = self._marks(), self.spec.join.sides
        yield Check("reachable", ", ".join(f"{side.table} batch {marks[name]['at']}" for name, side in sides.items()))
        yield Check("permitted", "both are tables of the lake that only grow")
        result = fitted(self.spec.join, marks["left"]["columns"], marks["right"]["columns"])
        yield Check("schema", f"{len(result)} columns: {', '.join(result)}")
        found = {name: self._arrived(name, Stretch(None, mark), result) for name, mark in marks.items()}
        reached = {name: None if each.newest is None else moment(each.newest) for name, each in found.items()}
        times = (f"{side.event_time} of {side.table} reaches {reached[name]}" for name, side in sides.items())
        yield Check("freshness", "; ".join(times).replace("reaches None", "has no value"))
        yield Check("volume", ", ".join(f"{found[name].rows:,} rows of {side.table}" for name, side in sides.items()))

    def finish(self, ended: Ended) -> None:
        """Nothing is noted: the marks stand in the plan."""

    def release(self, plan: Plan) -> None:
        """Nothing is held."""

    @property
    def _reach(self) -> Reach:
        within = self.spec.join.within
        return Reach(micros(within.before), micros(within.after))

    def _marks(self) -> dict[SideName, Mark]:
        marks = {name: mark_of(self.lake, side.table) for name, side in self.spec.join.sides.items()}
        if changing := [mark["of"] for mark in marks.values() if mark["feed"] is not None]:
            raise ConfigError(
                f"{self.pipeline}: rows of {', '.join(changing)} may change, and a pair that was given out could not "
                "follow; a join takes tables that only grow, by a sink of mode append. Where one side describes "
                "things, take `enrich: lookup`, else a source with `query`"
            )
        return marks

    def _require_same(self, before: Mapping[str, Any]) -> None:
        declared = self.spec.join.definition
        if changed := [key for key, value in declared.items() if before["definition"][key] != value]:
            raise ConfigError(
                f"{self.pipeline}: {', '.join(changed)} of the join was declared otherwise when its last batch was "
                "planned, and what it gave out then would contradict what it would give now; put it back, declare a "
                f"pipeline of another name, or let `lakeloop stream reset {self.pipeline}` join everything anew"
            )

    def _arrived(self, name: SideName, stretch: Stretch, result: Mapping[str, Origin]) -> Arrived:
        new = added(self.lake, self.spec.inputs[name], stretch.since, stretch.until)
        return arrived(self._side(name, new, result), micros(now() - EPOCH))

    def _side(self, name: SideName, rows: DataFrame, result: Mapping[str, Origin]) -> DataFrame:
        join = self.spec.join
        return side_frame(rows, name, join.keys(name), join.sides[name].event_time, result)

    def _sides(self, step: Step) -> tuple[Rows, Rows]:
        """Both sides, with as little of what is old as can matter to this batch."""
        expect, came = self.spec.expect, {name: stretch.came for name, stretch in step.stretches.items()}
        waits, counted = self.spec.join.how == "left" or bool(expect), bool(expect and expect.fan_out)
        left, right = needed(self._reach, step.progress, came["left"], came["right"], waits=waits, counted=counted)
        return self._rows("left", step, left), self._rows("right", step, right)

    def _rows(self, name: SideName, step: Step, spans: list[Span]) -> Rows:
        """The new rows of a side and the old ones with an event time in the spans, both with all columns of today."""
        stretch, table = step.stretches[name], self.spec.inputs[name]
        new = self._side(name, added(self.lake, table, stretch.since, stretch.until), step.result)
        if stretch.since is None or not spans:
            return Rows(new, new.where(F.lit(False)))
        time, near = value_of(self.spec.join.sides[name].event_time).cast("timestamp"), F.lit(False)
        for first, last in spans:
            near |= time.between(F.timestamp_micros(F.lit(first)), F.timestamp_micros(F.lit(last)))
        all_rows = added(self.lake, table, None, stretch.until)
        old = all_rows.where((F.col(BATCH) <= stretch.since["at"]) & near)
        return Rows(new, self._side(name, old, step.result))


def _stretch(values: Mapping[str, Any]) -> Stretch:
    return Stretch(values["since"], values["until"], Arrived(**values["came"]))
