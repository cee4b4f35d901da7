"""All numbers of a batch against their past, the one incident that is made of them, and how much past is kept."""

import datetime as dt
import math
from pathlib import Path

import pytest
from deltalake import DeltaTable

from lakeloop.core.config import Project
from lakeloop.core.errors import ConfigError, SourceError
from lakeloop.core.run_record import RowCounts, RunContext, now
from lakeloop.ingestion.spec import load_pipeline
from lakeloop.lake.batch_measures import Number
from lakeloop.lake.batch_profiles import BatchNumbers, forget_batches, past_batches
from lakeloop.lake.ops_tables import read_rows
from lakeloop.lake.table_profiles import append_numbers
from lakeloop.monitoring.causes import Anomaly, PipelineRun, causes_of, is_gone
from lakeloop.monitoring.incidents import Event, OpenIncident
from lakeloop.monitoring.spec import AlertRule, AlertsSpec
from lakeloop.quality.arrivals import Arrival
from lakeloop.quality.batch_anomalies import (
    NEXT_WAIT,
    READ,
    ROWS,
    WAIT,
    Signal,
    completed,
    judge_numbers,
    signals_of,
    silence,
    with_bands,
)
from lakeloop.verbs.alerting import alert
from lakeloop.verbs.anomalies import Follows, follows, upstream_of
from tests.quality_lake import PIPELINES, write_quality_lake

MONDAY = dt.datetime(2026, 1, 5, 6, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
NAN = float("nan")
GERMANY, FRANCE = Number("country", "share", "DE"), Number("country", "share", "FR")


def past(days: int = 28, **more: list[float]) -> BatchNumbers:
    """A daily table of 1,000 rows, half of them German."""
    values: dict[Number, list[float]] = {
        READ: [1000.0 + day % 3 for day in range(days)],
        ROWS: [1000.0 + day % 3 for day in range(days)],
        WAIT: [NAN] + [86_400.0 + day % 5 for day in range(days - 1)],
        Number("amount", "null_share"): [0.0] * days,
        GERMANY: [0.5] * days,
        FRANCE: [0.5] * days,
    }
    ended = tuple(MONDAY + day * DAY for day in range(days))
    return BatchNumbers("silver.t", tuple(range(days)), ended, values)


def outside(numbers: dict[Number, float], known: BatchNumbers | None = None) -> list[str]:
    """What stands out when these numbers come a day after the past."""
    known = known or past()
    at = known.ended_at[-1] + DAY
    numbers = completed(known, {READ: 1000, ROWS: 1000, **numbers})
    kept = with_bands(numbers, judge_numbers(known, numbers, at, least=14))
    lines = {n: [*known.of(n), kept.get(n, NAN)] for n in {*known.values, *kept}}
    after = BatchNumbers("silver.t", (*known.batch_ids, 99), (*known.ended_at, at), lines)
    return [signal.said for signal in signals_of(after, -1)]


def test_a_usual_batch_has_nothing_to_tell() -> None:
    usual = {WAIT: 86_402.0, Number("amount", "null_share"): 0.0, GERMANY: 0.49, FRANCE: 0.51}
    assert outside(usual) == []


def test_what_stands_out_is_told_most_striking_first_and_a_column_once() -> None:
    said = outside({ROWS: 400, READ: 400, Number("amount", "null_share"): 0.3, GERMANY: 0.9, FRANCE: 0.1})
    assert [text.split(",")[0] for text in said] == [
        "good rows 400",
        "amount: NULL in 30.00%",
        "country = DE: share 90.00%",
    ]
    assert said[0].startswith("good rows 400, expected 90")
    assert "expected at most" in said[1]


def test_a_value_that_is_gone_and_one_that_is_new_stand_out() -> None:
    gone = outside({GERMANY: 1.0})
    assert gone[0].startswith(("country = FR: share 0.00%", "country = DE: share 100.00%"))
    # With another column of shares beside it, a value that was never there is new.
    new = outside({GERMANY: 0.5, FRANCE: 0.3, Number("country", "share", "??"): 0.2})
    assert any("country" in text for text in new)
    assert completed(past(), {GERMANY: 1.0})[FRANCE] == 0.0
    assert FRANCE not in completed(past(), {ROWS: 5})  # the column was not counted at all


def test_rows_that_come_early_and_fewer_bad_rows_are_no_anomaly() -> None:
    known = past()
    known.values[Number(None, "quarantined_share")] = [0.1] * 28
    assert outside({WAIT: 600.0, Number(None, "quarantined_share"): 0.0}, known) == []
    assert outside({WAIT: 600_000.0}, known)[0].startswith("time without rows 6 d 22 h, expected at most 1 d")
    assert outside({Number(None, "quarantined_share"): 0.4}, known)[0].startswith("share quarantined 40.00%")


def test_nothing_is_judged_of_a_short_past() -> None:
    assert judge_numbers(past(5), {READ: 1, ROWS: 1}, MONDAY + 5 * DAY, least=14) == {}


def test_silence_is_a_wait_beyond_the_band_of_the_next_one() -> None:
    known = past()
    high = Number(None, NEXT_WAIT.metric + "_high")
    known.values[high] = [NAN] * 27 + [90_000.0]
    assert silence(known, known.ended_at[-1] + dt.timedelta(hours=24)) is None
    signal = silence(known, known.ended_at[-1] + dt.timedelta(hours=50))
    assert signal is not None
    assert signal.said == "time without rows 2 d 2 h, expected at most 1 d 1 h"
    assert silence(BatchNumbers(), MONDAY) is None
    known.values[high][-1] = NAN
    assert silence(known, MONDAY + 365 * DAY) is None


ODD = Anomaly((Signal(ROWS, 400, 900, 1100, -20.0), Signal(WAIT, 9e5, 0, 9e4, 9.0)))


def test_many_signals_are_one_cause_whose_fingerprint_stays() -> None:
    (cause,) = causes_of(PipelineRun("p", anomaly=ODD), MONDAY)
    assert (cause.kind, cause.severity, cause.fingerprint) == ("anomaly", "warn", "p:anomaly:")
    assert (
        cause.message == "good rows 400, expected 900 to 1,100; time without rows 10 d 10 h, expected at most 1 d 1 h"
    )
    many = Anomaly(tuple(Signal(Number(f"c{i}", "mean"), 9, 1, 2, 9.0) for i in range(8)), also_in=("q", "r"))
    assert many.said.endswith("; and 3 more; also seen in q, r")
    assert AlertRule.model_validate({"kinds": ["anomaly"], "channels": ["a"]}).concerns(cause)


def test_an_effect_of_what_is_told_already_is_no_cause_of_its_own() -> None:
    broken, late = SourceError("out of reach"), Arrival("late", MONDAY - DAY, has_arrived=True)
    assert [c.kind for c in causes_of(PipelineRun("p", broken, anomaly=ODD), MONDAY)] == ["run_failed"]
    assert [c.kind for c in causes_of(PipelineRun("p", arrival=late, anomaly=ODD), MONDAY)] == ["file_late"]
    assert causes_of(PipelineRun("p", anomaly=Anomaly(ODD.signals, follows="q")), MONDAY) == []


@pytest.mark.parametrize(
    ("anomaly", "gone"), [(None, False), (ODD, False), (Anomaly(ODD.signals, follows="q"), False), (Anomaly(), True)]
)
def test_it_is_gone_when_a_batch_is_as_usual_and_not_before(anomaly: Anomaly | None, gone: bool) -> None:
    assert is_gone(incident("p"), PipelineRun("p", counts=RowCounts(5, 5), anomaly=anomaly)) == gone


def incident(pipeline: str, kind: str = "anomaly") -> Event:
    return Event("id", kind, pipeline, "warn", f"{pipeline}:{kind}:", "said", "r", MONDAY, "opened")  # type: ignore[arg-type]


def test_tables_downstream_follow_the_first_that_stood_out() -> None:
    upstream = {"a": set[str](), "b": {"a"}, "c": {"a", "b"}, "d": set[str]()}
    assert follows(["a", "b", "c", "d"], upstream, {}, []) == [
        Follows("b", "a", "anomaly"),
        Follows("c", "a", "anomaly"),
    ]
    assert follows(["c"], upstream, {}, []) == []
    assert follows(["c"], upstream, {"b": SourceError("x")}, []) == [Follows("c", "b", "run_failed")]
    known = [OpenIncident(incident("a", "file_missing"), MONDAY, 1)]
    assert follows(["c"], upstream, {}, known) == [Follows("c", "a", "file_missing")]
    # A full slot or a violated rule is not what makes another table smaller.
    assert follows(["c"], upstream, {}, [OpenIncident(incident("a", "slot_large"), MONDAY, 1)]) == []


def test_upstream_is_what_rows_come_from_through_any_number_of_tables(tmp_path: Path) -> None:
    project = write_quality_lake(tmp_path, MONDAY)
    sales = PIPELINES["countries"].replace("pipeline: countries", "pipeline: sales")
    sales = sales.replace("silver.countries", "gold.sales").replace("[silver.orders]", "[silver.countries]")
    (project.folder / "base/pipelines/sales.yml").write_text(sales)
    specs = [load_pipeline(project, name) for name in project.names("pipelines")]
    found = upstream_of(specs)
    assert found["sales"] == {"countries", "orders"}
    assert found["countries"] == {"orders"}
    assert found["orders"] == set()


def test_a_watcher_puts_a_silence_on_record_once(tmp_path: Path) -> None:
    project = write_quality_lake(tmp_path, now() - 40 * DAY)
    root, spec = project.lake_root, load_pipeline(project, "orders")
    before = len(read_rows(root, "ops.incidents"))
    where = ("silver.orders", "orders", 60, None, now() - 30 * DAY, None)
    append_numbers(root, [(*where, name, None, 9e4) for name in ("rows", "rows_read", "next_wait_seconds_high")])
    append_numbers(root, [(*where[:2], 61, *where[3:], "rows", None, 0.0)])  # a batch without rows ends no silence
    for _ in range(3):
        alert(project, AlertsSpec(), [spec], {}, RunContext("watch", "local", is_polling=True))
    # It goes on with the incident that was open, and says nothing that is not known.
    assert len(read_rows(root, "ops.incidents")) == before
    alert(project, AlertsSpec(), [spec], {}, RunContext("run", "local"))
    rows = sorted(read_rows(root, "ops.incidents"), key=lambda row: row["at"])
    assert (len(rows), rows[-1]["state"], rows[-1]["id"]) == (before + 1, "repeated", "0123456789ab")
    assert rows[-1]["message"] == "time without rows 30 d, expected at most 1 d 1 h"


def test_of_a_batch_measured_twice_the_last_numbers_count(tmp_path: Path) -> None:
    root = str(tmp_path / "lake")
    for at, value in ((MONDAY, 1.0), (MONDAY + DAY, 2.0)):
        append_numbers(root, [("t.t", "p", 7, None, at, None, "rows", None, value)])
    append_numbers(root, [("t.t", "p", None, 3, MONDAY, "c", "rows", None, 9.0)])  # of the whole table
    append_numbers(root, [("t.t", "q", 7, None, MONDAY, None, "rows", None, 5.0)])
    assert DeltaTable(f"{root}/ops/table_profiles").metadata().partition_columns == ["pipeline"]
    found = past_batches(root, ["p", "unknown"])
    assert list(found) == ["p"]
    assert (found["p"].batch_ids, found["p"].ended_at, found["p"].values) == ((7,), (MONDAY + DAY,), {ROWS: [2.0]})
    assert past_batches(root, ["p"], without=7) == {}
    assert past_batches(str(tmp_path / "none"), ["p"]) == {}


def test_old_batches_go_and_nothing_else_does(tmp_path: Path) -> None:
    root = str(tmp_path / "lake")
    where = [("t.t", "p", day, None, MONDAY + day * DAY, None, "rows", None, 1.0) for day in range(40)]
    append_numbers(root, where)
    append_numbers(root, [("t.t", "p", None, 3, MONDAY, "c", "rows", None, 9.0)])
    append_numbers(root, [("t.t", "q", 0, None, MONDAY, None, "rows", None, 5.0)])
    known = past_batches(root, ["p"])["p"]
    forget_batches(root, "p", known, 35, MONDAY)  # five too many are not yet worth it
    assert len(past_batches(root, ["p"])["p"].batch_ids) == 40
    forget_batches(root, "p", known, 20, MONDAY)
    assert past_batches(root, ["p"])["p"].batch_ids == tuple(range(20, 40))
    forget_batches(root, "p", past_batches(root, ["p"])["p"], 500, MONDAY + 35 * DAY)
    assert past_batches(root, ["p"])["p"].batch_ids == tuple(range(35, 40))
    assert past_batches(root, ["q"])["q"].batch_ids == (0,)
    assert [row["value"] for row in read_rows(root, "ops.table_profiles") if row["batch_id"] is None] == [9.0]


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("{means: [email]}", "email is personal data"),
        ("{mean: [a]}", "unknown key 'mean'|mean"),
        ("{learn: 2}", "greater than or equal to 7"),
        ("{remember: {batches: 3}}", "greater than or equal to 14"),
    ],
)
def test_a_wrong_declaration_is_refused_with_its_line(tmp_path: Path, said: str, message: str) -> None:
    (tmp_path / "conf/base/pipelines").mkdir(parents=True)
    (tmp_path / "conf/local").mkdir()
    (tmp_path / "conf/base/platform.yml").write_text(f"lake: {tmp_path}/lake\n")
    text = PIPELINES["customers"] + f"watch_over: {said}\n"
    (tmp_path / "conf/base/pipelines/customers.yml").write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        load_pipeline(Project(tmp_path / "conf", "local"), "customers")
    assert "customers.yml" in str(caught.value)


def test_not_a_number_is_not_kept_as_a_band() -> None:
    kept = with_bands({ROWS: 5.0}, {})
    assert kept == {ROWS: 5.0}
    assert not any(math.isnan(value) for value in kept.values())
