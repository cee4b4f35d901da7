"""What a user may declare of an API, and the pure parts of reading one: cursors, ranges, flat records. No JVM."""

import datetime as dt
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lakeloop.core.connections import Connection, RestConnection
from lakeloop.core.errors import SourceError
from lakeloop.ingestion.source_specs import RestSource
from lakeloop.ingestion.source_specs.partitions import Partitions
from lakeloop.ingestion.sources.files.json_documents import DECODER, Number
from lakeloop.ingestion.sources.rest.cursors import earlier, greatest, meaning
from lakeloop.ingestion.sources.rest.flattening import flatten
from lakeloop.ingestion.sources.rest.partitions import Part, Parts
from lakeloop.ingestion.sources.rest.reach import Fetched, Reach
from lakeloop.ingestion.sources.seen_before import identity
from lakeloop.ingestion.spec import PipelineSpec

PAGE = Path(__file__).parents[2] / "docs/apis.md"
SOURCE = {"rest": "api", "path": "/u", "records": "data"}
UTC = dt.UTC


@pytest.mark.parametrize(
    ("auth", "said"),
    [
        ({}, "auth has exactly one of the keys bearer, api_key, basic, oauth2, none"),
        ({"bearer": "${secret:a}", "none": {}}, "auth has exactly one"),
        ({"bearer": "a-token"}, "a secret is given by reference"),
        ("nobody", "a valid dictionary"),
        ({"api_key": {"key": "${secret:a}"}}, "exactly one of header and query"),
        ({"api_key": {"key": "${secret:a}", "header": "X", "query": "x"}}, "exactly one of header and query"),
        ({"basic": {"user": "a:b", "password": "${secret:a}"}}, "pattern"),
        ({"oauth2": {"token_url": "ftp://a", "client_id": "a", "client_secret": "${secret:a}"}}, "pattern"),
    ],
)
def test_a_connection_says_who_asks_in_exactly_one_way(auth: Any, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        RestConnection.model_validate({"base_url": "https://h", "auth": auth})


@pytest.mark.parametrize(
    "base_url", ["h", "ftp://h", "https://", "https://me:pw@h", "https://h?key=1", "https://h#x", "https://h\\@g"]
)
def test_an_address_has_no_user_and_no_query(base_url: str) -> None:
    with pytest.raises(ValidationError, match="base_url"):
        RestConnection.model_validate({"base_url": base_url, "auth": "none"})


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"paginate": {}}, "paginate has exactly one of pages, offset, cursor, link"),
        ({"paginate": {"pages": {}, "link": {}}}, "paginate has exactly one of"),
        ({"paginate": {"cursor": {"param": "c"}}}, "next"),
        ({"paginate": {"pages": {}, "max_pages": 0}}, "greater than 0"),
        ({"records": "a..b"}, "records"),
        ({"path": "/u?a=1"}, "path"),
        ({"partitions": {}}, "partitions are either"),
        ({"partitions": {"param": "r"}}, "partitions are either"),
        ({"partitions": {"param": "r", "values": ["a", "a"]}}, "stands twice"),
        ({"partitions": {"param_from": "a", "param_to": "b", "step": "1d"}}, "partitions are either"),
        ({"partitions": {"param_from": "a", "param_to": "b", "step": "1d", "from": "soon"}}, "from"),
        (
            {
                "partitions": {"param_from": "a", "param_to": "b", "step": "1d", "from": "2026-01-01"},
                "incremental": {"cursor": "at", "param": "since"},
            },
            "ranges of time say themselves what is new",
        ),
        ({"incremental": {"cursor": "at", "param": "since", "overlap": -1}}, "not less than nothing"),
        ({"incremental": {"cursor": "at", "param": "since", "overlap": "1w"}}, "a length of time"),
        ({"fields": {"a": "b..c"}}, "fields"),
        ({"fields": {"a": "b", "A": "c"}}, "a field stands twice"),
        ({"fields": ["a"], "schema": {"renames": {"b": "c"}}}, "renames: no field 'b' is declared"),
    ],
)
def test_a_source_that_contradicts_itself_is_refused(declared: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        RestSource.model_validate(SOURCE | declared)


def test_a_whole_source_is_told_by_its_key_and_survives_its_own_json() -> None:
    whole = SOURCE | {
        "parameters": {"expand": "a", "deep": True}, "explode": "a.b", "paginate": {"link": {}, "max_pages": 3},
        "partitions": {"param": "r", "values": ["a"]}, "schema": {"evolution": "evolve"},
        "incremental": {"cursor": "a.at", "param": "since", "overlap": "1h", "key": ["id"]}, "fields": {"a": "b.c"},
    }  # fmt: skip
    spec = PipelineSpec.model_validate(
        {"pipeline": "p", "description": "P", "source": whole, "sink": {"table": "silver.p"}}
    )
    assert isinstance(spec.source, RestSource)
    assert spec.source == RestSource.model_validate(whole)
    assert "expand" in spec.model_dump_json()  # as replays tell one declaration from another


@pytest.mark.parametrize(
    ("declared", "is_whole"),
    [
        ({}, True),
        ({"incremental": {"cursor": "at", "param": "since"}}, False),
        ({"partitions": {"param": "r", "values": ["a"]}}, True),
        ({"partitions": {"param_from": "a", "param_to": "b", "step": "1d", "from": "2026-01-01"}}, False),
    ],
)
def test_what_is_always_new_is_read_once_and_may_replace_a_table(declared: dict[str, Any], is_whole: bool) -> None:
    def spec(**sink: str) -> PipelineSpec:
        return PipelineSpec.model_validate(
            {
                "pipeline": "p", "description": "P", "trigger": "available_now", "source": SOURCE | declared,
                "sink": {"table": "silver.p"} | sink,
            }
        )  # fmt: skip

    assert spec().runs_until_idle is not is_whole
    if is_whole:
        assert spec(mode="overwrite").sink.mode == "overwrite"
    else:
        with pytest.raises(ValidationError, match="only the newest would stay; append or merge"):
            spec(mode="overwrite")


def test_the_declarations_of_the_page_are_valid() -> None:
    declared = Counter[str]()
    for block in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), flags=re.DOTALL):
        whole = block.startswith("#")
        for text in [block] if whole else filter(None, block.splitlines()):
            for key, value in yaml.safe_load(text).items():
                declared[key] += 1
                if key == "source":
                    RestSource.model_validate(value)
                elif key == "auth":
                    RestConnection.model_validate({"base_url": "https://h", "auth": value})
                elif key in ("paginate", "partitions"):
                    RestSource.model_validate(SOURCE | {key: value})
                else:
                    Connection.model_validate(value)
    assert declared == {"shop_api": 1, "source": 1, "auth": 5, "paginate": 5, "partitions": 2}


def test_fields_are_names_or_paths_with_or_without_types() -> None:
    assert RestSource.model_validate(SOURCE).columns.fields is None
    names = RestSource.model_validate(SOURCE | {"fields": ["a", "b"]})
    assert (names.columns.fields, names.paths) == (["a", "b"], {})
    fields = {"city": "address.city", "lat": {"path": "address.lat", "type": "double"}}
    paths = RestSource.model_validate(SOURCE | {"fields": fields})
    assert paths.columns.fields == {"city": None, "lat": "double"}
    assert paths.paths == {"city": "address.city", "lat": "address.lat"}


@pytest.mark.parametrize(
    ("cursors", "expected"),
    [
        (["9", "10", "2"], "10"),
        (["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5Z"], "2026-01-01T00:00:00.5Z"),
        (["2026-01-01T02:00:00+02:00", "2026-01-01T01:00:00+00:00"], "2026-01-01T01:00:00+00:00"),
        (["b", "a"], "b"),
        (["NaN", "1"], "NaN"),
        ([], None),
    ],
)
def test_the_greatest_cursor_is_greatest_by_its_meaning(cursors: list[str], expected: str | None) -> None:
    assert greatest(cursors) == expected


@pytest.mark.parametrize(
    ("cursor", "overlap", "expected"),
    [
        (None, 5, None),
        ("100", 0, "100"),
        ("100", 30, "70"),
        ("1.50", 1, "0.50"),
        ("2026-01-01T00:00:00Z", dt.timedelta(hours=1), "2025-12-31T23:00:00Z"),
        ("2026-01-01T02:00:00.5+02:00", dt.timedelta(hours=1), "2026-01-01T01:00:00.500000+02:00"),
        ("2026-01-01 02:00:00", dt.timedelta(minutes=1), "2026-01-01 01:59:00"),
        ("2026-03-01", dt.timedelta(days=1), "2026-02-28"),
    ],
)
def test_a_cursor_before_another_is_written_alike(
    cursor: str | None, overlap: dt.timedelta | int, expected: str | None
) -> None:
    assert earlier(cursor, overlap, "api") == expected


@pytest.mark.parametrize(
    ("cursor", "overlap", "said"),
    [
        ("100", dt.timedelta(hours=1), "'100' is a number.*declare a number, as overlap: 100"),
        ("2026-01-01", 5, "'2026-01-01' is a time.*declare a length of time, as overlap: 1h"),
        ("abc", 5, "'abc' is a text.*leave it out"),
    ],
)
def test_an_overlap_that_does_not_fit_its_cursor_is_refused(
    cursor: str, overlap: dt.timedelta | int, said: str
) -> None:
    with pytest.raises(SourceError, match=said):
        earlier(cursor, overlap, "api")


MOMENTS = st.datetimes(dt.datetime(2000, 1, 1), dt.datetime(2100, 1, 1))  # noqa: DTZ001 - hypothesis wants them naive


@given(MOMENTS, st.timedeltas(dt.timedelta(0), dt.timedelta(900)))
def test_an_earlier_moment_is_earlier_by_the_overlap(moment: dt.datetime, overlap: dt.timedelta) -> None:
    found = earlier(moment.isoformat(), overlap, "api")
    assert found is not None
    assert meaning(moment.isoformat())[1] - meaning(found)[1] == overlap


JSON = st.recursive(
    st.none() | st.booleans() | st.integers().map(lambda n: Number(str(n))) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab.$", max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, JSON)
def test_what_identifies_a_record_is_equal_for_equal_values_only(first: Any, second: Any) -> None:
    def typed(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: typed(item) for key, item in value.items()}
        return [typed(item) for item in value] if isinstance(value, list) else (type(value).__name__, value)

    assert (identity([first]) == identity([second])) == (typed(first) == typed(second))


def test_the_order_of_keys_does_not_tell_records_apart_but_types_do() -> None:
    assert identity([{"a": 1, "b": 2}]) == identity([{"b": 2, "a": 1}])
    assert identity([DECODER.decode("1.0")]) != identity(["1.0"])
    assert identity([["a", "b"]]) != identity([["b", "a"]])


RECORD = {
    "id": "1", "address": {"city": "Ulm", "zip": "89", "geo": {"lat": "48", "lon": None}}, "tags": ["x", "y"],
    "city": "?",
}  # fmt: skip


def test_a_record_becomes_flat_and_nothing_of_it_goes() -> None:
    paths = {"city": "address.city", "lat": "address.geo.lat", "first": "tags.0", "none": "address.street"}
    assert flatten(RECORD, paths) == {
        "city": "Ulm", "lat": "48", "first": "x",
        "id": "1", "address.zip": "89", "address.geo.lon": None, "tags": ["x", "y"], "$.city": "?",
    }  # fmt: skip
    assert flatten(RECORD, {}) == RECORD


def test_days_are_asked_for_once_they_are_over() -> None:
    declared = {"param_from": "a", "param_to": "b", "from": "2026-01-01", "step": "1d", "ranges_per_batch": 2}
    spec = RestSource.model_validate(SOURCE | {"partitions": declared})
    nothing = Parts().next(spec, dt.datetime(2026, 1, 1, 23, tzinfo=UTC))
    assert nothing == []
    present = dt.datetime(2026, 1, 4, 1, tzinfo=UTC)
    asked = Parts().next(spec, present)
    assert [part.query for part in asked] == [
        (("a", "2026-01-01"), ("b", "2026-01-02")), (("a", "2026-01-02"), ("b", "2026-01-03"))
    ]  # fmt: skip
    stopped = Fetched({}, Reach(), failure="down")
    after = Parts.of_json(Parts().after(spec, asked, [Fetched({}, Reach()), stopped]).as_json)
    assert (after.unread, after.upto) == (("2026-01-02/2026-01-03",), "2026-01-03")
    assert after.next(spec, present) == [asked[1]]  # what stopped, and nothing else
    done = after.after(spec, [asked[1]], [Fetched({}, Reach())])
    assert [part.name for part in done.next(spec, present)] == ["2026-01-03/2026-01-04"]


def test_ranges_of_hours_are_moments_in_utc() -> None:
    declared = {"param_from": "a", "param_to": "b", "from": "2026-01-01T01:00:00+01:00", "step": "6h", "settle": "1h"}
    spec = RestSource.model_validate(SOURCE | {"partitions": declared})
    asked = Parts().next(spec, dt.datetime(2026, 1, 1, 12, 59, tzinfo=UTC))
    assert [part.name for part in asked] == ["2026-01-01T00:00:00Z/2026-01-01T06:00:00Z"]


def test_values_go_on_each_from_its_own_reach() -> None:
    spec = RestSource.model_validate(SOURCE | {"partitions": {"param": "r", "values": ["a", "b", "c"]}})
    present = dt.datetime(2026, 1, 1, tzinfo=UTC)
    asked = Parts().next(spec, present)
    assert [(part.name, part.query) for part in asked] == [(v, (("r", v),)) for v in "abc"]
    fetched = [Fetched({}, Reach("1")), Fetched({}, Reach(), failure="down"), Fetched({}, Reach("3", {"page": 4}))]
    after = Parts().after(spec, asked, fetched)
    assert [part.name for part in after.next(spec, present)] == ["b", "c"]
    done = after.after(spec, after.next(spec, present), [Fetched({}, Reach("2")), Fetched({}, Reach("4"))])
    assert {part.name: part.reach.greatest for part in done.next(spec, present)} == {"a": "1", "b": "2", "c": "4"}
    fewer = RestSource.model_validate(SOURCE | {"partitions": {"param": "r", "values": ["c", "d"]}})
    assert done.next(fewer, present)[1] == Part("d", (("r", "d"),))


def test_a_part_comes_back_from_its_plan_as_it_was() -> None:
    reach = Reach("9", {"cursor": "x"}, "7", ("p",), True, ("s", "t"))
    parts = Parts((Part("a", (("r", "a"),), reach),), ("a",), "2026-01-01")
    assert Parts.of_json(parts.as_json) == parts


def test_a_range_that_begins_is_not_before_the_first() -> None:
    declared = Partitions.model_validate(
        {"param_from": "a", "param_to": "b", "from": dt.date(2026, 1, 1), "step": "1d"}
    )
    after = dt.datetime(2025, 1, 1, tzinfo=UTC)
    [(begin, end)] = declared.ranges(after, dt.datetime(2026, 1, 2, tzinfo=UTC))
    assert (begin, end) == (dt.datetime(2026, 1, 1, tzinfo=UTC), dt.datetime(2026, 1, 2, tzinfo=UTC))
