"""What may be declared of a source that reads a database, and of its connection."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from lakeloop.core.connections import JdbcConnection
from lakeloop.ingestion.source_specs import JdbcSource
from lakeloop.ingestion.spec import PipelineSpec

TABLE = {"jdbc": "crm", "table": "t"}


def pipeline(source: dict[str, Any], mode: str = "append") -> PipelineSpec:
    return PipelineSpec.model_validate(
        {"pipeline": "t", "description": "T", "source": source, "sink": {"table": "silver.t", "mode": mode}}
    )


def test_everything_at_once() -> None:
    source = pipeline({
        "jdbc": "crm", "query": "WITH a AS (SELECT ';' AS b) SELECT * FROM a -- ; all", "columns": ["b", "at"],
        "where": "b <> ';'", "parallel": {"partition_column": "id", "num_partitions": 8},
        "incremental": {"cursor": "at", "overlap": "1h"},
    }).source  # fmt: skip
    assert isinstance(source, JdbcSource)
    assert source.what == "query"
    assert source.incremental is not None
    assert source.incremental.overlap == dt.timedelta(hours=1)


@pytest.mark.parametrize(("overlap", "expected"), [(100, Decimal(100)), (0.1, Decimal("0.1")), ("0s", dt.timedelta(0))])
def test_an_overlap_is_a_time_or_a_number(overlap: object, expected: object) -> None:
    source = JdbcSource.model_validate(TABLE | {"incremental": {"cursor": "id", "overlap": overlap}})
    assert source.incremental is not None
    assert source.incremental.overlap == expected
    assert JdbcSource.model_validate_json(source.model_dump_json(exclude={"incremental"})).table == "t"


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"jdbc": "crm"}, "has a table or a query, found neither"),
        (TABLE | {"query": "SELECT 1"}, "has a table or a query, found both"),
        ({"jdbc": "crm", "query": "DELETE FROM t"}, "one SELECT, found DELETE; a database is only read from"),
        ({"jdbc": "crm", "query": "/* SELECT */ update t set a = 1"}, "one SELECT, found UPDATE"),
        ({"jdbc": "crm", "query": " "}, "one SELECT, found nothing"),
        ({"jdbc": "crm", "query": "SELECT 1; DELETE FROM t"}, "leave the semicolon out"),
        (TABLE | {"where": "a = 1;"}, "leave the semicolon out"),
        (TABLE | {"where": ""}, "write SQL or leave the key out"),
        (TABLE | {"columns": ["a", "A"]}, "a field stands twice"),
        (TABLE | {"parallel": {"column": "id"}}, "unknown key 'column'; Allowed: num_partitions, partition_column"),
        (TABLE | {"parallel": {"partition_column": "id", "num_partitions": 1}}, "greater than or equal to 2"),
        (TABLE | {"incremental": {"cursor": "id", "overlap": -1}}, "an overlap is a length of time, as 1h or 2d"),
        (TABLE | {"incremental": {"cursor": "id", "overlap": True}}, "an overlap is a length of time"),
        (TABLE | {"incremental": {"cursor": "id", "overlap": "1 hour"}}, "one of s, m, h, d, as 90s"),
    ],
)
def test_what_is_refused(declared: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        pipeline(declared)


def test_a_table_that_is_replaced_cannot_grow_by_a_cursor() -> None:
    with pytest.raises(ValidationError, match="only the newest rows would stay"):
        pipeline(TABLE | {"incremental": {"cursor": "id"}}, "overwrite")
    assert pipeline(TABLE, "overwrite").sink.mode == "overwrite"


def test_sqlite_has_a_path_and_nothing_else() -> None:
    connection = JdbcConnection.model_validate({"url": "jdbc:sqlite:/data/shop.db"})
    assert (connection.engine, connection.secrets, connection.driver_timeouts) == ("sqlite", [], {})


def test_a_server_may_be_silent_for_so_long() -> None:
    server = {"url": "jdbc:postgresql://h/d", "user": "me", "password": "${secret:p}"}
    by_default = JdbcConnection.model_validate(server).driver_timeouts
    assert by_default == {"connectTimeout": "10", "loginTimeout": "10", "socketTimeout": "600", "tcpKeepAlive": "true"}
    declared = JdbcConnection.model_validate(server | {"connect_timeout_seconds": 3, "read_timeout_seconds": 7})
    assert declared.driver_timeouts["loginTimeout"] == "3"
    assert declared.driver_timeouts["socketTimeout"] == "7"


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"url": "jdbc:sqlite:/a.db", "user": "me"}, "SQLite knows no users; leave out user"),
        ({"url": "jdbc:sqlite:/a.db", "read_timeout_seconds": 600}, "no server; leave out read_timeout_seconds"),
        ({"url": "jdbc:sqlite::memory:"}, "names a file by its whole path"),
        ({"url": "jdbc:postgresql://h/d", "user": "me"}, "needs user and password"),
        ({"url": "jdbc:postgresql://h/d", "read_timeout_seconds": 0}, "greater than 0"),
        ({"url": "jdbc:oracle:thin:@h"}, "match pattern"),
    ],
)
def test_connections_that_are_refused(declared: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        JdbcConnection.model_validate(declared)
