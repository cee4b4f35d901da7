"""Options of rules, and what pipelines refuse of them: told from the declaration alone."""

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter, ValidationError

from lakeloop.core.documents import Document
from lakeloop.core.errors import ConfigError, StreamError
from lakeloop.ingestion.backfill_rules import require_backfillable
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.quality import Rule, Rules, rules_version
from lakeloop.quality.rule import FAMILY_OF, KINDS

UNIQUE: dict[str, Any] = {"columns": ["a"]}
MEAN: dict[str, Any] = {"column": "a", "min": 0}


def rule(value: Any) -> Rule:
    return Rule.model_validate(value)


def refusal(value: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        rule(value)
    (error,) = caught.value.errors()
    return str(error["msg"])


def test_how_far_back_rows_are_compared() -> None:
    assert rule({"is_unique": UNIQUE}).reach == "batch"
    assert rule({"is_unique": UNIQUE}).horizon is None
    assert rule({"is_unique": {**UNIQUE, "horizon": "batch"}}).reach == "batch"
    everything = rule({"is_unique": {**UNIQUE, "horizon": "all"}})
    week = rule({"is_primary_key": {**UNIQUE, "horizon": "7d", "event_time": "at"}})
    assert (everything.reach, everything.reads, everything.is_causal) == ("all", ("a",), True)
    assert (week.reach, week.reads, week.columns) == (dt.timedelta(days=7), ("a", "at"), ("a",))
    assert not rule({"is_unique": {**UNIQUE, "horizon": "batch"}}).is_causal
    assert not rule({"mean": {**MEAN, "horizon": "all"}}).is_causal
    assert rule({"mean": {**MEAN, "horizon": "all"}}).reach == "all"
    assert rule({"has_no_gaps": {"column": "n", "by": ["g"], "horizon": "all"}}).reads == ("n", "g")
    assert rule({"determines": {"columns": ["a"], "column": "b", "filter": "C > 1"}}).reads == ("a", "b", "C")


HORIZON = "how far back rows are compared is `batch`, `all` or a length of time, as 90s or 7d"


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"is_unique": {**UNIQUE, "horizon": "ever"}}, HORIZON),
        ({"is_unique": {**UNIQUE, "horizon": "0d", "event_time": "t"}}, HORIZON),
        ({"is_unique": {**UNIQUE, "horizon": 7, "event_time": "t"}}, HORIZON),
        (
            {"is_unique": {**UNIQUE, "horizon": "7d"}},
            "is_unique: a horizon of time needs event_time, the column that says when a row happened",
        ),
        (
            {"is_unique": {**UNIQUE, "event_time": "t"}},
            "is_unique: event_time belongs to a horizon of time or to per, and neither is given",
        ),
        (
            {"is_unique": {**UNIQUE, "horizon": "all", "event_time": "t"}},
            "is_unique: event_time belongs to a horizon of time or to per, and neither is given",
        ),
        (
            {"determines": {"columns": ["a"], "column": "b", "horizon": "7d", "event_time": "t"}},
            "determines: horizon is batch or all; a length of time is for is_unique, is_primary_key",
        ),
        (
            {"mean": {**MEAN, "horizon": "7d", "event_time": "t"}},
            "mean: horizon is batch or all; a length of time is for is_unique, is_primary_key",
        ),
        (
            {"mean": {**MEAN, "per": "1d"}},
            "mean: per needs event_time, the column that says which stretch a row belongs to",
        ),
        (
            {"mean": {**MEAN, "per": "1 day", "event_time": "t"}},
            "a length of time is a whole number and one of s, m, h, d, as 90s or as 7d",
        ),
        ({"is_unique": {**UNIQUE, "per": "1d"}}, "unknown key of is_unique 'per'; "),
        ({"is_not_null": {"column": "a", "horizon": "all"}}, "unknown key of is_not_null 'horizon'; "),
        ({"references": {**UNIQUE, "table": "silver.x", "horizon": "all"}}, "unknown key of references 'horizon'; "),
        ({"mean": {**MEAN, "severity": "error"}}, "mean: it is about no single row, so its severity is warn or fail"),
        ({"row_count": {"min": 1, "severity": "drop"}}, "row_count: it is about no single row, so its severity is "),
        ({"mean": {**MEAN, "at_most": "1%"}}, "unknown key of mean 'at_most'; "),
        (
            {"has_schema": {"columns": {"a": "int"}, "filter": "a > 1"}},
            "has_schema: takes no filter; in SQL an aggrega",
        ),
        ({"measure": {"sql": "sum(a)", "min": 1, "filter": "a > 1"}}, "measure: takes no filter; in SQL an aggregate "),
        (
            {"has_schema": {"columns": {"a": "int"}, "horizon": "all"}},
            "has_schema: it does not add up over batches, so",
        ),
        ({"measure": {"sql": "sum(a)", "min": 1, "horizon": "all"}}, "measure: it does not add up over batches, so it"),
        (
            {"distinct_count": {"columns": ["a"], "min": 1, "per": "1d", "event_time": "t"}},
            "distinct_count: it does not add up over batches, so it has neither horizon nor per",
        ),
        ({"row_count": {}}, "row_count: give min, max or both; without them everything holds"),
        ({"mean": "a"}, "mean: give min, max or both; without them everything holds"),
        ({"mean": {"column": "a", "min": 2, "max": 1}}, "mean: min 2 is above max 1, so nothing could hold"),
        ({"quantile": {"column": "a", "q": 1.5, "min": 1}}, "quantile: q: Input should be less than or equal to 1"),
        ({"null_ratio": {"column": "a", "max": 5}}, "null_ratio: max: Input should be less than or equal to 1"),
        ({"has_no_gaps": {"column": "a", "step": 0}}, "has_no_gaps: step: Input should be greater than or equal to 1"),
        ({"measure": {"sql": "a + 1", "min": 0}}, "measure: sql: "),
        ({"measure": {"sql": "sum(", "min": 0}}, "measure: sql: "),
        (
            {"total_matches": {"column": "a", "table": "t", "within": -1}},
            "total_matches: within: Input should be great",
        ),
    ],
)
def test_what_fits_no_rule_of_its_kind_is_refused(declared: Any, said: str) -> None:
    assert refusal(declared).startswith(said)


@pytest.mark.parametrize(
    ("baseline", "said"),
    [
        ({}, "a baseline has `shares` of values, or `edges` and `intervals` of numbers"),
        ({"shares": {"a": 1}, "edges": [1], "intervals": [0.5, 0.5]}, "a baseline has `shares` of values, or `edges`"),
        ({"edges": [1]}, "a baseline has `shares` of values, or `edges` and `intervals` of numbers"),
        ({"edges": [1, 0], "intervals": [0.2, 0.3, 0.5]}, "`edges` rise, and `intervals` are one more"),
        ({"edges": [1, 1], "intervals": [0.2, 0.3, 0.5]}, "`edges` rise, and `intervals` are one more"),
        ({"edges": [0, 1], "intervals": [0.5, 0.5]}, "`edges` rise, and `intervals` are one more"),
        ({"edges": [0], "intervals": [0.5, 0.4]}, "the shares of a baseline add up to 1, these to 0.9"),
        ({"shares": {"a": 0.7, "b": 0.7}}, "the shares of a baseline add up to 1, these to 1.4"),
        ({"shares": {"a": 1.5}}, "Input should be less than or equal to 1"),
        ({"shares": {}}, "Dictionary should have at least 1 item"),
    ],
)
def test_a_baseline_is_a_distribution(baseline: dict[str, Any], said: str) -> None:
    found = refusal({"is_like": {"column": "a", "baseline": baseline}})
    assert found.startswith("is_like: baseline")
    assert said in found


def test_a_distance_of_cumulated_shares_is_for_numbers() -> None:
    declared = {"column": "a", "baseline": {"shares": {"x": 1}}, "distance": "ks"}
    assert refusal({"is_like": declared}) == (
        "is_like: ks is for numbers, whose baseline has edges; of values take psi or variation"
    )


@pytest.mark.parametrize(
    ("written", "share"), [("0.1%", 0.001), ("5%", 0.05), (0.25, 0.25), (0, 0.0), ("0%", 0.0), (None, None)]
)
def test_a_tolerance_is_a_share(written: Any, share: float | None) -> None:
    assert rule({"is_not_null": {"column": "a", "at_most": written}}).at_most == share
    assert rule({"is_unique": {**UNIQUE, "at_most": written}}).at_most == share


@pytest.mark.parametrize("written", [1, "100%", "-1%", -0.1, "few%", "few", "nan%", [0.1]])
def test_a_tolerance_below_all_rows_is_refused_otherwise(written: Any) -> None:
    assert refusal({"is_not_null": {"column": "a", "at_most": written}}).startswith("Input should be")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if FAMILY_OF[kind] == "measured"])
def test_a_measured_rule_marks_by_default_and_may_stop_the_run(kind: str) -> None:
    given: dict[str, dict[str, Any]] = {
        "row_count": {"min": 1}, "null_ratio": {"column": "a", "max": 0}, "empty_ratio": {"column": "a", "max": 0},
        "quantile": {"column": "a", "q": 0.5, "max": 1}, "distinct_count": {"columns": ["a"], "min": 1},
        "is_fresh": {"column": "a", "within": "1d"}, "total_matches": {"column": "a", "table": "silver.x"},
        "has_schema": {"columns": {"a": "int"}}, "is_like": {"column": "a", "baseline": {"shares": {"x": 1}}},
        "measure": {"sql": "sum(a)", "max": 1},
    }  # fmt: skip
    declared = given.get(kind, MEAN)
    assert rule({kind: declared}).severity == "warn"
    assert rule({kind: {**declared, "severity": "fail"}}).severity == "fail"
    assert refusal({kind: {**declared, "severity": "error"}}).startswith(f"{kind}: it is about no single row")


def test_owner_description_and_tags_are_kept_and_change_the_version() -> None:
    plain = rule({"mean": MEAN})
    full = rule({"mean": {**MEAN, "owner": "sales", "description": "d", "tags": ["money"], "filter": "a > 0"}})
    assert (full.owner, full.description, full.tags, full.filter) == ("sales", "d", ("money",), "a > 0")
    versions = {
        rules_version([each])
        for each in (
            plain, full, rule({"mean": {**MEAN, "horizon": "all"}}), rule({"is_not_null": {"column": "a"}}),
            rule({"is_not_null": {"column": "a", "at_most": "1%"}}), rule({"is_unique": {**UNIQUE, "horizon": "all"}}),
            rule({"mean": {**MEAN, "per": "1d", "event_time": "t"}}), rule({"is_unique": UNIQUE}),
            rule({"is_unique": {**UNIQUE, "horizon": "7d", "event_time": "t"}}),
        )
    }  # fmt: skip
    assert len(versions) == 9


def test_rules_under_a_condition_have_it_beside_their_own() -> None:
    declared = [
        {"is_not_null": "a"},
        {
            "when": {
                "condition": "b = 1 OR c",
                "rules": [{"is_unique": "a"}, {"is_in": {"column": "a", "values": [1], "filter": "d"}}],
            }
        },
    ]
    found = TypeAdapter(Rules).validate_python(declared)
    assert [each.kind for each in found] == ["is_not_null", "is_unique", "is_in"]
    assert [each.filter for each in found] == [None, "b = 1 OR c", "(b = 1 OR c) AND (d)"]


HEAD = "pipeline: p\ndescription: d\nsource: {files: drop, formats: {csv: {}}, fields: [a, b]}\n"


def problems(tmp_path: Path, text: str) -> list[str]:
    """What `validate` says of a pipeline, without the name of the file."""
    file = tmp_path / "p.yml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        Document.load(file).parse(PipelineSpec)
    return [line.removeprefix(str(file)) for line in str(caught.value).splitlines()]


def test_a_slip_under_a_condition_is_told_with_its_line(tmp_path: Path) -> None:
    found = problems(tmp_path, HEAD + (
        "sink: {table: silver.p}\nrules:\n"
        "  - when:\n      condition: a > 1\n      rules:\n        - is_not_null: b\n"
        "        - is_in_range: {column: a, mni: 0}\n"
        "        - is_unique: {columns: [a], horizon: ever}\n"
        "  - when: {condition: 'a >', rules: [is_not_null: a]}\n"
        "  - when: {condition: a > 2}\n"
        "  - when: {condition: a > 2, rules: []}\n"
        "  - when: {cond: a > 2, rules: [is_not_null: a]}\n"
    ))  # fmt: skip
    lines = [line.split(":")[1] for line in found]
    assert lines == ["10", "11", "12", "13", "14", "15"], found
    assert "unknown key of is_in_range 'mni'; did you mean 'min'?" in found[0]
    assert HORIZON in found[1]
    assert "not a condition in SQL" in found[2]
    assert "Field required" in found[3]
    assert "at least 1 item" in found[4]
    assert "unknown key 'cond'; did you mean 'condition'?" in found[5]


def test_a_table_that_grows_needs_a_word_on_earlier_batches(tmp_path: Path) -> None:
    unsaid = HEAD + "sink: {table: silver.p}\nrules:\n  - is_not_null: a\n  - is_unique: b\n"
    (found,) = problems(tmp_path, unsaid)
    assert found.endswith(
        "b_is_unique: silver.p grows batch by batch, so say how far back a row may not come again: `horizon: all`, or "
        "`horizon: 7d` with `event_time: COLUMN`, or `horizon: batch`"
    )
    for said in ("{columns: [b], horizon: all}", "{columns: [b], horizon: batch}"):
        file = tmp_path / "p.yml"
        file.write_text(unsaid.replace("is_unique: b", f"is_unique: {said}"))
        assert Document.load(file).parse(PipelineSpec).rules[1].horizon is not None


def pipeline(source: dict[str, Any], sink: dict[str, Any], *declared: dict[str, Any]) -> PipelineSpec:
    given = {"pipeline": "p", "description": "d", "source": source, "sink": sink, "rules": list(declared)}
    return PipelineSpec.model_validate(given)


FILES = {"files": "drop", "formats": {"csv": {}}, "fields": ["a", "b"]}
WHOLE = {"jdbc": "crm", "table": "t"}
MERGED = {"table": "silver.p", "mode": "merge", "keys": ["a"], "sequence_by": "b"}


def test_what_comes_whole_and_what_is_merged_needs_none() -> None:
    pipeline(WHOLE, {"table": "silver.p"}, {"is_unique": "a"})
    pipeline({"query": "SELECT 1 AS a", "inputs": {"x": "silver.x"}}, {"table": "silver.p"}, {"is_primary_key": "a"})
    pipeline(FILES, MERGED, {"is_unique": "a"})
    pipeline(FILES, MERGED, {"is_unique": {"columns": ["b"], "horizon": "all"}})
    pipeline(FILES, {"table": "silver.p"}, {"determines": {"columns": ["a"], "column": "b"}})
    with pytest.raises(ValidationError, match=r"a_is_primary_key: silver\.p grows batch by batch"):
        pipeline({**WHOLE, "incremental": {"cursor": "a"}}, {"table": "silver.p"}, {"is_primary_key": "a"})


def test_keys_of_a_merge_come_again_with_every_update() -> None:
    for sink, columns in ((MERGED, ["a"]), ({**MERGED, "keys": ["a", "c"]}, ["c", "a"])):
        name = "_".join(columns)
        with pytest.raises(ValidationError, match=rf"{name}_is_unique: silver\.p is merged by .*; leave `horizon` out"):
            pipeline(FILES, sink, {"is_unique": {"columns": columns, "horizon": "all"}})


CDC = {"cdc": "crm", "table": "public.t", "slot": "s", "publication": "p"}


@pytest.mark.parametrize("kind", ["is_unique", "is_primary_key"])
def test_changes_of_a_key_come_side_by_side(kind: str) -> None:
    sink = {"table": "silver.p", "mode": "merge", "keys": ["a"]}
    with pytest.raises(
        ValidationError, match=f"{kind}: a key may change several times in a batch; a constraint of the"
    ):
        pipeline(CDC, sink, {kind: "b"})
    pipeline(CDC, sink, {"is_not_null": "b"}, {"mean": {"column": "b", "max": 1}})


def test_a_rule_that_looks_back_has_seen_what_is_read_again() -> None:
    sink = {**MERGED, "keys": ["c"]}
    looking_back = pipeline(FILES, sink, {"is_unique": {"columns": ["a"], "horizon": "all"}})
    with pytest.raises(
        StreamError, match=r"p: the rule a_is_unique compares rows with all that came before.*`horizon: b"
    ):
        require_backfillable(looking_back)
    require_backfillable(pipeline(FILES, sink, {"is_unique": {"columns": ["a"], "horizon": "batch"}}))
    require_backfillable(pipeline(FILES, sink, {"mean": {"column": "a", "max": 1, "horizon": "all"}}))


def wrong_for_an_editor(declared: Any) -> Iterator[str]:
    schema = TypeAdapter(Rules).json_schema()
    return (error.message for error in Draft202012Validator(schema).iter_errors(json.loads(json.dumps(declared))))


GOOD: list[dict[str, Any]] = [
    {"row_count": 1}, {"row_count": {"min": 1}}, {"is_unique": "a"}, {"is_unique": ["a", "b"]},
    {"is_unique": {**UNIQUE, "horizon": "all", "at_most": "0.1%"}}, {"is_unique": {**UNIQUE, "at_most": 0.001}},
    {"is_unique": {**UNIQUE, "horizon": "7d", "event_time": "t"}}, {"mean": {**MEAN, "per": "1d", "event_time": "t"}},
    {"is_fresh": {"column": "a", "within": "24h", "severity": "fail"}}, {"has_schema": {"columns": {"a": "int"}}},
    {"is_like": {"column": "a", "baseline": {"edges": [1], "intervals": [0.5, 0.5]}, "distance": "ks"}},
    {"when": {"condition": "a > 1", "rules": [{"is_not_null": "b"}]}},
    {"is_not_null": {"column": "a", "tags": ["x"], "owner": "o", "severity": "drop"}},
]  # fmt: skip
BAD: list[dict[str, Any]] = [
    {"row_count": "many"}, {"is_unique": {**UNIQUE, "horizon": "ever"}}, {"is_unique": {**UNIQUE, "per": "1d"}},
    {"is_not_null": {"column": "a", "horizon": "all"}}, {"mean": {**MEAN, "at_most": 0.1}},
    {"is_not_null": {"column": "a", "at_most": 1}}, {"is_not_null": {"column": "a", "at_most": "few%"}},
    {"mean": {**MEAN, "per": "daily", "event_time": "t"}}, {"has_schema": {"a": "int"}}, {"mean": {**MEAN, "mni": 1}},
    {"mean": {**MEAN, "severity": "error"}}, {"is_fresh": {"column": "a", "within": 5}},
    {"when": {"condition": "a > 1"}}, {"when": {"condition": "a > 1", "rules": []}}, {"is_uniqe": "a"},
    {"when": {"condition": "a > 1", "rules": [{"is_not_nul": "b"}]}}, {},
]  # fmt: skip


@pytest.mark.parametrize("declared", GOOD, ids=str)
def test_editors_take_what_the_declaration_takes(declared: dict[str, Any]) -> None:
    TypeAdapter(Rules).validate_python([declared])
    assert list(wrong_for_an_editor([declared])) == []


@pytest.mark.parametrize("declared", BAD, ids=str)
def test_editors_refuse_what_the_declaration_refuses(declared: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Rules).validate_python([declared])
    assert list(wrong_for_an_editor([declared]))
