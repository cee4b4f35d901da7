"""The parts of a profile that need no Spark: summaries, samples, shapes, confidence, remarks, YAML and the page."""

import datetime as dt
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from lakeloop.cli import app
from lakeloop.lake.table_profiles import Metric, StoredProfile, append_profile, newest_profile, profiles
from lakeloop.quality import Rule
from lakeloop.quality.profiling import confidence, one_pass
from lakeloop.quality.profiling.column_proposals import propose_for
from lakeloop.quality.profiling.frequent_values import COUNTERS, FrequentValues, merged
from lakeloop.quality.profiling.proposal import Proposal, known
from lakeloop.quality.profiling.relations import Relations, find_relations
from lakeloop.quality.profiling.remarks import remarks_on
from lakeloop.quality.profiling.row_sample import DRAWN, RowSample
from lakeloop.quality.profiling.rules_yaml import rules_yaml
from lakeloop.quality.profiling.table_profile import ColumnProfile, TableProfile
from lakeloop.quality.profiling.text_shapes import pattern_of
from lakeloop.reports.page import render_page
from lakeloop.reports.profile_charts import histogram
from lakeloop.reports.profile_sections import profile_sections
from tests.small_lake import write_lake

VALUES = st.lists(st.one_of(st.none(), st.integers(0, 2000).map(str), st.sampled_from(["often", "too"])), max_size=1500)


@given(st.lists(VALUES, max_size=6), st.integers(1, 3))
def test_no_count_is_further_off_than_the_summary_says(batches: list[list[str | None]], parts: int) -> None:
    summaries = [FrequentValues() for _ in range(parts)]
    for at, batch in enumerate(batches):
        summaries[at % parts].add(pa.array(batch, pa.string()))
    total = merged(FrequentValues.of(summary.as_json()) for summary in summaries)
    exact = Counter(value for batch in batches for value in batch if value is not None)
    rows = sum(exact.values())
    assert len(total.counts) <= COUNTERS
    assert total.error <= rows / (COUNTERS + 1)
    for value, count in exact.items():
        assert count - total.error <= total.counts[value] <= count
    assert set(total.counts) <= set(exact)
    if len(exact) <= COUNTERS:
        assert total.is_complete
        assert dict(total.counts) == dict(exact)


def test_a_value_of_half_the_rows_is_found_among_many() -> None:
    summary = FrequentValues()
    for start in range(0, 100_000, 10_000):
        summary.add(pa.array([value for at in range(start, start + 5_000) for value in (f"v{at}", "often")]))
    assert [summary.most_common(1)[0][0], summary.error, summary.is_complete] == ["often", 10, False]
    assert 50_000 - summary.error <= summary.counts["often"] <= 50_000


def test_a_sample_is_uniform_and_bounded_and_the_same_for_a_seed() -> None:
    def drawn(seed: int) -> list[int]:
        sample = RowSample(100, seed)
        for start in range(0, 10_000, 1000):
            sample.add(pa.RecordBatch.from_pydict({"a": list(range(start, start + 1000))}))
        assert sample.rows is not None
        assert sample.rows.schema.names == ["a", DRAWN]
        found: list[int] = sample.rows["a"].to_pylist()
        return found

    assert drawn(1) == drawn(1) != drawn(2)
    assert len(set(drawn(1))) == 100
    means = [sum(drawn(seed)) / 100 for seed in range(40)]
    # The mean of 4,000 uniform draws from 0 to 9,999 has a standard error of 46.
    assert abs(sum(means) / len(means) - 4999.5) < 4 * 46
    few = RowSample(100, 1)
    few.add(pa.RecordBatch.from_pydict({"a": [1, 2, None]}))
    assert few.rows is not None
    assert few.rows.num_rows == 3
    assert RowSample(100, 1).rows is None


def test_summaries_of_partitions_become_one() -> None:
    def partition(start: int, rows: int) -> list[dict[str, Any]]:
        texts = pa.array([str(at % 3) if at % 4 else None for at in range(start, start + rows)], pa.string())
        batch = pa.RecordBatch.from_arrays([texts, texts], ["v0", "s0"])
        return [row for part in one_pass._summarise([batch]) for row in part.to_pylist()]

    parts = partition(0, 60) + partition(60, 70) + partition(130, 0)
    assert [len(part["frequent"] or "") > 0 for part in parts].count(True) == 6
    together = pa.RecordBatch.from_pylist(parts, one_pass_schema())
    frequent, sample = dict[str, FrequentValues](), RowSample(one_pass.SAMPLE_ROWS, 1)
    for batch in one_pass._merge([together]):
        one_pass._take(batch.to_pylist(), frequent, sample)
    expected = Counter(str(at % 3) for at in range(130) if at % 4)
    assert dict(frequent["v0"].counts) == dict(frequent["s0"].counts) == dict(expected)
    assert sample.rows is not None
    assert sample.rows.num_rows == 130
    assert sample.rows["v0"].null_count == 33
    assert next(iter(one_pass._summarise([]))).num_rows == 0


def one_pass_schema() -> pa.Schema:
    return pa.schema([("name", pa.string()), ("frequent", pa.string()), ("sample", pa.binary())])


@pytest.mark.parametrize(
    ("shapes", "pattern"),
    [
        (["9999-AAAAA"], "[0-9]{4}-[A-Z]{5}"),
        (["A9", "A999"], "[A-Z][0-9]{1,3}"),
        (["99", "99-A"], "[0-9]{2}|[0-9]{2}-[A-Z]"),
        (["A.9+"], r"[A-Z]\.[0-9]\+"),
        (["AAA", "AAAA"], None),
        (["Aaaaa", "Aaa"], None),
        (["Aaa aaa"], None),
        (["aaa"], None),
        (["A-9", "9-A", "A/9", "9/A"], None),
        (["é9"], None),
        ([], None),
    ],
)  # fmt: skip
def test_shapes_of_codes_become_a_pattern_and_those_of_words_none(shapes: list[str], pattern: str | None) -> None:
    assert pattern_of(shapes) == pattern


@given(st.lists(st.from_regex(r"\A[A-Z]{2}[.-/][0-9]{1,4}\Z"), min_size=1))
def test_a_pattern_matches_every_text_that_it_comes_from(texts: list[str]) -> None:
    shapes = {re.sub("[0-9]", "9", re.sub("[A-Z]", "A", text)) for text in texts}
    if (pattern := pattern_of(shapes)) is not None:
        assert all(re.fullmatch(pattern, text) for text in texts)


def test_confidence_grows_with_rows_and_falls_with_what_is_new() -> None:
    # Wilson: n / (n + z²); 73 rows are the fewest that make 0.95.
    assert confidence.never_violated(72) < confidence.LOWEST <= confidence.never_violated(73)
    assert confidence.never_violated(1000) == pytest.approx(1000 / (1000 + 1.959964**2))
    assert confidence.holds(80, 100) == pytest.approx(0.7112, abs=0.0001)  # Wilson's interval is 0.7112 to 0.8666
    assert confidence.all_values_seen(0, 1000) == confidence.never_violated(1000)
    assert confidence.all_values_seen(200, 1000) < 0.83
    assert confidence.within_range(100) == pytest.approx(0.9526, abs=0.0001)
    assert [confidence.within_range(1), confidence.holds(0, 0)] == [0, 0]


def a_column(name: str, kind: str, values: dict[str, int], nulls: int = 0, **measured: Any) -> ColumnProfile:
    types = {"number": "int", "text": "string", "time": "timestamp", "boolean": "boolean", "other": "array<int>"}
    shown = measured.pop("type", types[kind])
    hidden = measured.pop("hidden", False)
    shapes = measured.pop("shapes", {})
    rows = sum(values.values()) + nulls
    counted = {"nulls": nulls, "distinct": len(values)} | measured
    found, of_shapes = FrequentValues(Counter(values)), FrequentValues(Counter(shapes))
    return ColumnProfile(name, shown, kind, rows, counted, found, of_shapes, hidden)


def proposed(column: ColumnProfile) -> dict[str, dict[str, Any]]:
    return {each.kind: dict(each.parameters) for each in propose_for(column)}


def test_numbers_get_a_range_with_a_margin_and_identifiers_no_end() -> None:
    many = {str(at): 2 for at in range(10, 110)}
    ages = a_column("age", "number", many, min=10, max=109)
    assert proposed(ages)["is_in_range"] == {"column": "age", "min": 0, "max": 119, "severity": "warn"}
    assert proposed(a_column("customer_id", "number", many, min=10, max=109))["is_in_range"] == {
        "column": "customer_id", "min": 0, "severity": "warn",
    }  # fmt: skip
    low = a_column("n", "number", many, min=2, max=102)
    assert proposed(low)["is_in_range"] == {"column": "n", "min": 0, "max": 120, "severity": "warn"}
    below = a_column("t", "number", many, type="double", min=-3.25, max=6.75)
    assert proposed(below)["is_in_range"] == {"column": "t", "min": -5, "max": 8, "severity": "warn"}
    share = a_column("p", "number", many, type="double", min=0.2, max=0.9)
    assert proposed(share)["is_in_range"] == {"column": "p", "min": 0, "max": 1, "severity": "warn"}
    assert "is_in_range" not in proposed(a_column("x", "number", many, type="double", min=0, max=9, nan=1))
    assert "is_in_range" not in proposed(a_column("x", "number", many, min=0, max=9, hidden=True))


def test_few_values_are_a_set_unless_they_are_defects_or_too_new() -> None:
    assert proposed(a_column("s", "text", {"a": 50, "b": 50}))["is_in"]["values"] == ["a", "b"]
    assert proposed(a_column("s", "number", {"1": 50, "0": 40}))["is_in"]["values"] == [1, 0]
    for column in (
        a_column("s", "text", {"a": 50, "": 50}),
        a_column("s", "text", {"a": 50, " b": 50}),
        a_column("s", "text", {"a": 100}),
        a_column("s", "text", {"a": 50, "b": 50}, hidden=True),
        a_column("s", "text", {str(at): 10 for at in range(51)}),
        a_column("s", "boolean", {"true": 50, "false": 50}),
    ):
        assert "is_in" not in proposed(column)
    new = next(each for each in propose_for(a_column("s", "text", {"a": 80, **{f"n{at}": 1 for at in range(20)}}))
               if each.kind == "is_in")  # fmt: skip
    assert new.confidence < confidence.LOWEST


def test_presence_keys_and_times() -> None:
    label = {f"word {at}": 1 for at in range(100)}
    assert "is_not_blank" in proposed(a_column("l", "text", label, length_max=9))
    assert "is_not_null" in proposed(a_column("l", "text", label, length_max=9, blank=1))
    assert not {"is_not_blank", "is_not_null"} & set(proposed(a_column("l", "text", label, nulls=1)))
    assert proposed(a_column("l", "text", label))["is_unique"] == {"columns": ["l"]}
    assert "is_unique" not in proposed(a_column("l", "text", label, length_max=65))
    assert "is_unique" not in proposed(a_column("l", "text", label | {"word 1": 2}))
    times = {str(at): 1 for at in range(100)}
    january, july = (dt.datetime(2024, month, 1, tzinfo=dt.UTC).timestamp() for month in (1, 7))
    found = proposed(a_column("at", "time", times, min=january, max=july))
    assert found["is_not_ahead"] == {"column": "at", "by": "1d"}
    assert found["is_between"] == {"column": "at", "since": "2023-01-01", "severity": "warn"}
    assert "is_not_ahead" not in proposed(a_column("at", "time", times, min=january, max=july, ahead=1))
    assert proposed(a_column("o", "other", {})) == {}


def test_what_this_version_cannot_judge_is_not_proposed() -> None:
    good = Proposal("is_not_null", {"column": "a"}, 1.0, "")
    assert known([good, Proposal("is_magic", {"column": "a"}, 1.0, ""), good]) == [good]
    assert known([Proposal("is_not_null", {"colum": "a"}, 1.0, "")]) == []


def test_what_is_odd_is_said() -> None:
    columns = (
        a_column("empty", "text", {}, nulls=10),
        a_column("same", "text", {"x": 10}),
        a_column("mostly", "text", {"x": 2, "y": 2}, nulls=6, padded=1, blank=2, empty=3),
        a_column("mail", "text", {"a": 5, "b": 5}, like_email=9),
        a_column("number", "text", {"1": 5, "2": 5}, like_number=10),
        a_column("far", "number", {"1": 9, "2": 1}, min=0, max=5000, quantiles=list(range(201))),
        a_column("fine", "number", {"1": 9, "2": 1}),
    )
    remarks = remarks_on(TableProfile(columns, 10, pa.table({})))
    assert remarks == [
        ("empty", "has no value in any row"),
        ("same", "has the same value in every row that has one"),
        ("mostly", "is NULL in 60.0% of the rows"),
        ("mostly", "3 texts are empty, which is not NULL"),
        ("mostly", "2 texts are nothing but white space"),
        ("mostly", "1 texts begin or end with white space"),
        ("mail", "looks like personal data: 90.0% of its values look like email; tag it pii"),
        ("number", "is a text, and all its values are numbers"),
        ("far", "has values 98 median absolute deviations away from its median"),
    ]


def test_rules_are_yaml_that_can_be_pasted_and_what_fails_is_a_comment() -> None:
    profile = TableProfile(
        (a_column("mail", "text", {"secret@x.org": 100}, like_email=100, hidden=True),), 100, pa.table({})
    )
    proposals = [
        Proposal("is_not_null", {"column": "a: b"}, 0.99, "seen", violations=0),
        Proposal("matches", {"column": "c", "pattern": "[0-9]{2}'\"\\."}, 0.98, "seen"),
        Proposal("is_unique", {"columns": ["d"]}, 0.97, "seen", only_if_judged=True),
        Proposal("is_unique", {"columns": ["e"]}, 0.97, "seen", violations=3),
    ]
    text = rules_yaml("silver.t", profile, proposals)
    read = yaml.safe_load(text)
    assert read == {
        "rules": [{"is_not_null": "a: b"}, {"matches": {"column": "c", "pattern": "[0-9]{2}'\"\\."}}],
        "columns": {"mail": {"tags": ["pii"]}},
    }
    assert [Rule.model_validate(each).columns for each in read["rules"]] == [("a: b",), ("c",)]
    assert "#   - is_unique: {columns: [d]}" in text
    assert "sure 0.9700: seen; not judged yet" in text
    assert "3 rows violate it" in text
    assert "secret" not in text
    assert yaml.safe_load(rules_yaml("t", profile, [])) == {"rules": [], "columns": {"mail": {"tags": ["pii"]}}}


def test_the_page_shows_no_value_of_a_hidden_column_and_hostile_ones_as_text() -> None:
    hostile = "<script>alert(1)</script>"
    quantiles = [float(at) for at in range(201)]
    columns = (
        a_column(
            "mail", "text", {"secret@x.org": 60, "b": 40}, like_email=60, hidden=True, shapes={"aaaaaa@a.aaa": 60}
        ),
        a_column("pay", "number", {"777123": 100}, min=777123, max=777123, hidden=True, quantiles=[777123.0] * 201),
        a_column(hostile, "text", {hostile: 60, "b": 40}, length_min=1, length_max=25, length_mean=9.5),
        a_column("n", "number", {str(at): 1 for at in range(100)}, min=0, max=200, mean=3.5, quantiles=quantiles),
        a_column("none", "other", {}, nulls=100),
    )
    sample = pa.table({column.name: pa.array([None], pa.string()) for column in columns})
    profile = TableProfile(columns, 100, sample)
    proposals = [each for column in columns for each in propose_for(column)]
    html = render_page("t", "s", profile_sections(profile, find_relations(profile), proposals))
    assert "secret@x.org" not in html
    assert columns[0].most_frequent() == []
    assert not {"mean", "min", "max", "q50"} & set(columns[1].metrics())
    assert columns[1].shares() == {}
    assert "777" not in re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)
    assert hostile not in html
    (numbers,) = next(each for each in profile_sections(profile, Relations(0), []) if each.title == "n").tables
    assert numbers.columns[:6] == ("5%", "25%", "50%", "75%", "95%", "MAD")
    assert numbers.rows == (("10", "50", "100", "150", "190", "50", "3.5", None, "0", "0"),)
    assert profile_sections(TableProfile((), 0, pa.table({})), Relations(0), [])[1].verdict is not None


def test_a_histogram_adds_up_and_leaves_far_ends_out() -> None:
    even = a_column("n", "number", {str(at): 1 for at in range(300)}, type="double", min=0, max=200,
                    quantiles=[float(at) for at in range(201)])  # fmt: skip
    drawn = histogram(even)
    assert drawn is not None
    assert [sum(drawn[0].data[0].y), len(drawn[0].data[0].y), drawn[1]] == [pytest.approx(1), 24, ""]
    far = a_column("n", "number", {"1": 300}, type="double", min=0, max=1e9, quantiles=[*map(float, range(200)), 1e9])
    cut = histogram(far)
    assert cut is not None
    assert sum(cut[0].data[0].y) == pytest.approx(0.99)
    assert "without half a percent" in cut[1]
    whole = a_column("n", "number", {"0": 1, "2": 3}, min=0, max=2, quantiles=[0.0] * 51 + [2.0] * 150)
    exact = histogram(whole)
    assert exact is not None
    assert list(exact[0].data[0].y) == [0.25, 0, 0.75]
    assert histogram(a_column("n", "number", {"0": 1}, min=0, max=0, quantiles=[0.0] * 201)) is None


@pytest.mark.parametrize("share", ["0", "1", "150%", "ten", "-1%", "0%", "100%", "nan"])
def test_a_share_of_rows_is_between_none_and_all(share: str, tmp_path: Path) -> None:
    folder = str(write_lake(tmp_path).folder)
    refused = CliRunner().invoke(app, ["profile", "silver.people", "--sample", share, "--conf-dir", folder])
    assert refused.exit_code == 2
    assert "is no share of rows" in refused.output


def test_a_name_that_is_neither_table_nor_pipeline_starts_no_spark(tmp_path: Path) -> None:
    refused = CliRunner().invoke(app, ["profile", "poeple", "--conf-dir", str(write_lake(tmp_path).folder)])
    assert refused.exit_code == 1
    assert "'poeple' is neither a table, as silver.customers, nor a pipeline; did you mean 'people'?" in refused.output


def test_profiles_are_kept_and_the_newest_is_found(tmp_path: Path) -> None:
    root, day = str(tmp_path), dt.datetime(2026, 1, 1, tzinfo=dt.UTC)

    def stored(days: int, rows: float, version: int | None = None, batch_id: int | None = None) -> StoredProfile:
        metrics = (Metric(None, "rows", rows), Metric("a", "share", 0.25, "x"), Metric("a", "share", 0.75, "y"))
        return StoredProfile("silver.t", day + dt.timedelta(days=days), metrics, version, "p", batch_id)

    assert newest_profile(root, "silver.t") is None
    for each in (stored(2, 30, 2), stored(1, 20, 1), stored(5, 9, batch_id=4), stored(4, 21, 1)):
        append_profile(root, each)
    append_profile(root, StoredProfile("silver.other", day, (Metric(None, "rows", 1.0),), 9))
    append_profile(root, StoredProfile("silver.none", day, ()))
    newest = newest_profile(root, "silver.t")
    assert newest is not None
    assert [newest.value(None, "rows"), newest.version, newest.shares("a"), newest.value("a", "rows")] == [
        21, 1, {"x": 0.25, "y": 0.75}, None,
    ]  # fmt: skip
    as_of = newest_profile(root, "silver.t", version=2)
    assert as_of is not None
    assert [as_of.value(None, "rows"), as_of.pipeline] == [30, "p"]
    assert newest_profile(root, "silver.t", version=3) is None
    assert [profile.batch_id for profile in profiles(root, "silver.t")] == [None, None, None, 4]
