"""A paged API over HTTP, with its bad moments: retried, explained, and gone on with where it stopped."""

import socket
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from demo.usage_api import UsageApi
from lakeloop.core.connections import RestConnection
from lakeloop.core.errors import SourceError
from lakeloop.core.run_record import RowCounts, RunContext
from lakeloop.ingestion.pipeline import Pipeline
from lakeloop.ingestion.source_specs import RestSource
from lakeloop.ingestion.sources.rest import RestReader
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.ledger import Plan, RunEntry
from lakeloop.lake.tables import Lake

TOKEN = "letmein"
Records = list[dict[str, object]]


def readings(*numbers: int) -> Records:
    return [{"id": f"U{n}", "kwh": n / 2, "measured_at": f"2026-01-01T00:00:{n:02d}Z"} for n in numbers]


def declared(**changes: Any) -> dict[str, Any]:
    return {
        "rest": "api", "path": "/usage", "records": "data", "fields": ["id", "kwh", "measured_at"],
        "paginate": {"size": 3}, "incremental": {"cursor": "measured_at", "param": "since"},
    } | changes  # fmt: skip


def open_api(
    spark: SparkSession, url: str, landing: Path, token: str = TOKEN, retries: int = 2, **changes: Any
) -> RestReader:
    connection = RestConnection.model_validate(
        {"base_url": url, "bearer_token": "${secret:t}", "retries": retries, "backoff_seconds": 0, "timeout_seconds": 5}
    )
    return RestReader(spark, connection, token, RestSource.model_validate(declared(**changes)), str(landing))


def plan(source: RestReader, finished: Sequence[Plan] = ()) -> Plan | None:
    return source.plan(finished[-1] if finished else None, lambda text: None)


def run(spark: SparkSession, folder: Path, api: UsageApi) -> RunEntry:
    spec = PipelineSpec.model_validate(
        {"pipeline": "usage", "description": "Usage", "source": declared(), "sink": {"table": "silver.usage"}}
    )
    lake = Lake(spark, str(folder / "lake"))
    source = open_api(spark, api.url, folder / "landing")
    return Pipeline(spec, source, lake).run(RunContext("run", "test"), lambda text: None)


def rows(spark: SparkSession, folder: Path) -> Counter[str]:
    lake = Lake(spark, str(folder / "lake"))
    return Counter(row["id"] for row in lake.read("silver.usage").select("id").collect())


def test_busy_answers_are_retried_and_only_what_is_new_is_read(spark: SparkSession, tmp_path: Path) -> None:
    with UsageApi(readings(*range(13)), TOKEN) as api:
        assert run(spark, tmp_path, api).counts == RowCounts(read=13, good=13)
        assert {503} <= set(api.requests)
        assert run(spark, tmp_path, api).outcome == "nothing_new"
    with UsageApi(readings(*range(15)), TOKEN, faults=False) as api:
        entry = run(spark, tmp_path, api)
        assert (entry.counts, entry.message) == (RowCounts(read=2, good=2), "2 records since 2026-01-01T00:00:12Z")
    assert rows(spark, tmp_path) == Counter(f"U{n}" for n in range(15))
    positions = Lake(spark, str(tmp_path / "lake")).read("bronze.usage").select("_position.*", "id").collect()
    assert {(row["origin"].split("/", 3)[3], row["record"]) for row in positions if row["id"] == "U4"} == {
        ("usage?page=2", 2)
    }
    assert not list((tmp_path / "landing").iterdir())


def test_a_429_is_waited_for_as_long_as_it_asks(spark: SparkSession, tmp_path: Path) -> None:
    with UsageApi(readings(*range(25)), TOKEN) as api:  # its tenth answer is a 429 with a Retry-After of a second
        planned = plan(open_api(spark, api.url, tmp_path))
    assert planned is not None
    assert planned.failure is None
    assert planned.summary == "25 records"
    assert {429, 503} <= set(api.requests)


def test_what_landed_before_a_lasting_failure_is_kept_and_the_next_run_resumes_there(
    spark: SparkSession, tmp_path: Path
) -> None:
    with (
        UsageApi(readings(*range(10)), TOKEN, faults=False, fail_from_page=3) as api,
        pytest.raises(SourceError, match=r"page 3: status 503 after 2 retries.*goes on from page 3"),
    ):
        run(spark, tmp_path, api)
    assert rows(spark, tmp_path) == Counter(f"U{n}" for n in range(6))
    with (
        UsageApi(readings(*range(10)), TOKEN, faults=False, fail_from_page=3) as api,
        pytest.raises(SourceError, match="page 3: status 503"),
    ):
        run(spark, tmp_path, api)
    with UsageApi(readings(*range(10)), TOKEN, faults=False) as api:
        assert run(spark, tmp_path, api).counts == RowCounts(read=4, good=4)
        assert api.requests == [200, 200]
        assert run(spark, tmp_path, api).outcome == "nothing_new"
    assert rows(spark, tmp_path) == Counter(f"U{n}" for n in range(10))


def test_a_resumed_read_that_finds_no_further_page_starts_anew_from_the_cursor(
    spark: SparkSession, tmp_path: Path
) -> None:
    with UsageApi(readings(*range(6)), TOKEN, faults=False, fail_from_page=3) as api:
        stopped = plan(open_api(spark, api.url, tmp_path))
    assert stopped is not None
    assert stopped.failure is not None
    with UsageApi(readings(*range(6)), TOKEN, faults=False) as api:
        assert plan(open_api(spark, api.url, tmp_path), [stopped]) is None
    with UsageApi(readings(*range(8)), TOKEN, faults=False) as api:
        following = plan(open_api(spark, api.url, tmp_path), [stopped])
    assert following is not None
    assert following.summary.startswith("2 records")


@pytest.mark.parametrize(
    ("changes", "token", "said"),
    [
        ({}, "wrong", r"api: http://127.0.0.1:\d+/usage page 1: the token was refused \(status 401\); renew"),
        ({"path": "/nowhere"}, TOKEN, r"/nowhere page 1: status 404, expected 200; check the path"),
        ({"records": "items"}, TOKEN, r"expected .* the list 'items', found application/json: '{\"data\""),
        ({"records": "page"}, TOKEN, r"'page' is not a list of objects"),
        ({"paginate": {"size": 1001}}, TOKEN, r"status 400, expected 200"),
    ],
)  # fmt: skip
def test_an_answer_of_another_kind_is_explained(
    spark: SparkSession, tmp_path: Path, changes: dict[str, Any], token: str, said: str
) -> None:
    with UsageApi(readings(1), TOKEN, faults=False) as api, pytest.raises(SourceError, match=said) as refused:
        plan(open_api(spark, api.url, tmp_path, token, **changes))
    assert len(api.requests) == 1
    assert "wrong" not in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_a_page_of_html_is_no_answer(spark: SparkSession, tmp_path: Path) -> None:
    with (
        UsageApi(readings(1), TOKEN, html=True) as api,
        pytest.raises(SourceError, match="list 'data', found text/html: '<html>"),
    ):
        plan(open_api(spark, api.url, tmp_path))


def test_nobody_listens(spark: SparkSession, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with pytest.raises(SourceError, match=r"no answer after 1 retries .*check the address and that the service is up"):
        plan(open_api(spark, url, tmp_path, retries=1))


@pytest.mark.parametrize(
    ("cursors", "greatest"),
    [
        ([9, 10, 2], "10"),
        (["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5Z"], "2026-01-01T00:00:00.5Z"),
        (["2026-01-01T02:00:00+02:00", "2026-01-01T01:00:00+00:00"], "2026-01-01T01:00:00+00:00"),
        (["b", None, "a"], "b"),
        ([None], None),
    ],
)
def test_the_greatest_cursor_is_greatest_by_its_meaning(
    spark: SparkSession, tmp_path: Path, cursors: list[Any], greatest: str | None
) -> None:
    records: Records = [{"measured_at": "2026-01-01T00:00:00Z", "seen": cursor} for cursor in cursors]
    with UsageApi(records, TOKEN, faults=False) as api:
        source = open_api(spark, api.url, tmp_path, incremental={"cursor": "seen", "param": "since"})
        planned = plan(source)
    assert planned is not None
    assert planned.details["greatest"] == greatest


def test_values_of_every_kind_land_as_they_are(spark: SparkSession, tmp_path: Path) -> None:
    odd = {"id": "ü \u2028 \n \ufffd", "kwh": [1, {"a": None}], "measured_at": "2026-01-01T00:00:00Z"}
    broken = {"id": "\ud800", "kwh": None, "measured_at": "2026-01-01T00:00:01Z"}
    with UsageApi([odd, broken], TOKEN, faults=False) as api:
        source = open_api(spark, api.url, tmp_path)
        planned = plan(source)
    assert planned is not None
    found = {row["_position"]["record"]: row for row in source.read(planned).frame.collect()}
    assert (found[1]["id"], found[1]["kwh"], found[1]["_malformed"]) == (odd["id"], '[1,{"a":null}]', None)
    assert found[2]["_malformed"] == "the text is not valid UTF-8"
