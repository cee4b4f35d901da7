"""Look-ups in an HTTP service on loopback that counts what it is asked: answers, bad moments, and what is kept."""

import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from structlog.testing import capture_logs

from lakeloop.core.connections import RestConnection
from lakeloop.core.errors import ConfigError, RuleFailedError, TableError
from lakeloop.core.run_record import RowCounts, RunContext
from lakeloop.ingestion.enrichment.asking import NOT_ASKED, Answer, Asker
from lakeloop.ingestion.enrichment.enriching import Enriched, enrich
from lakeloop.ingestion.enrichment.http_spec import HttpLookup
from lakeloop.ingestion.enrichment.spec import Enrichment
from lakeloop.ingestion.http.answers import Failure
from lakeloop.ingestion.http.service import Service
from lakeloop.ingestion.pipeline import Pipeline
from lakeloop.ingestion.source_specs.files import FilesSource
from lakeloop.ingestion.sources.files import FilesReader
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.ingestion.transforms import Conformed
from lakeloop.lake.file_catalog import FileCatalog
from lakeloop.lake.ledger import RunEntry
from lakeloop.lake.tables import Lake
from lakeloop.quality import judge
from tests.loopback_api import LoopbackApi, Reply

TOKEN = "s3cret-token"
DROP = {"files": "drop", "formats": {"csv": {}}, "fields": ["id", "plan", "postcode"], "settle": "0s"}


def place(city: str, lat: object = 1.5) -> Reply:
    return Reply(body=json.dumps({"place": {"city": city, "lat": lat}}).encode())


BUSY, GONE = Reply(503), Reply(404, b"{}")


class Postcodes(LoopbackApi):
    """`GET /postcodes/<code>`. `replies` are given in order, the last one again and again."""

    def __init__(self, replies: Mapping[str, Sequence[Reply]], *, otherwise: Reply = GONE) -> None:
        super().__init__(lambda asked: self.answer(asked.target))
        self.asked: list[str] = []
        self._replies, self._otherwise = replies, otherwise

    @property
    def authorizations(self) -> set[str | None]:
        return {asked.headers.get("Authorization") for asked in self.requests}

    def answer(self, path: str) -> Reply:
        times = self.asked.count(path)
        self.asked.append(path)
        replies = self._replies.get(path.removeprefix("/postcodes/"), [self._otherwise])
        return replies[min(times, len(replies) - 1)]


def declared(**changes: Any) -> dict[str, Any]:
    return {
        "rest": "geo_api", "path": "/postcodes/{postcode}", "cache": {"ttl": "7d"},
        "columns": {"city": "place.city", "lat": {"path": "place.lat", "type": "double"}}, "concurrency": 1,
    } | changes  # fmt: skip


def service(url: str, retries: int = 2) -> Service:
    settings = {"base_url": url, "auth": {"bearer": "${secret:t}"}, "retries": retries, "backoff_seconds": 0}
    return Service("geo_api", RestConnection.model_validate(settings | {"rate_limit": "1000/s"}), TOKEN)


def ask(api: Postcodes, *keys: str, retries: int = 2, token: str = TOKEN, **changes: Any) -> list[Answer | Failure]:
    spec = HttpLookup.model_validate(declared(**changes))
    with Asker(spec, replace(service(api.url, retries), secret=token)) as asker:
        return [asker.ask({"postcode": key}) for key in keys]


def city(name: str, lat: str = "1.5") -> Answer:
    return Answer({"place.city": name, "place.lat": lat})


def test_an_answer_is_read_and_a_404_is_an_answer_too() -> None:
    with Postcodes({"1": [place("Ulm")], "2": [Reply(410)], "3": [Reply(body=b'{"place": {"lat": 1.10}}')]}) as api:
        assert ask(api, "1", "2", "0", "3") == [
            city("Ulm"), Answer(None), Answer(None), Answer({"place.city": None, "place.lat": "1.10"})
        ]  # fmt: skip
        assert api.asked == [f"/postcodes/{key}" for key in "1203"]
        assert api.authorizations == {f"Bearer {TOKEN}"}


@pytest.mark.parametrize(
    "moment",
    [
        BUSY,
        Reply(500),
        Reply(429),
        Reply(429, headers={"Retry-After": "0"}),
        Reply(503, headers={"Retry-After": "soon"}),
    ],
)
def test_a_bad_moment_is_tried_again_as_often_as_the_connection_says(moment: Reply) -> None:
    with Postcodes({"1": [moment, moment, place("Ulm")], "2": [moment]}) as api:
        assert ask(api, "1") == [city("Ulm")]
        assert len(api.asked) == 3
        [failure] = ask(api, "2")
        assert isinstance(failure, Failure)
        assert failure.reason == f"status {moment.status}"
        assert len(api.asked) == 6


class BusyForASecond(Postcodes):
    """Busy for a second from the first request, and says so."""

    first: float | None = None

    def answer(self, path: str) -> Reply:
        self.first = self.first or time.monotonic()
        is_busy = time.monotonic() < self.first + 1
        return Reply(429, headers={"Retry-After": "1"}) if is_busy else super().answer(path)


def test_a_429_is_waited_for_as_long_as_it_asks() -> None:
    with BusyForASecond({"1": [place("Ulm")]}) as api:
        assert ask(api, "1", retries=1) == [city("Ulm")]


@pytest.mark.parametrize(
    ("reply", "reason", "requests"),
    [
        (Reply(body=b"<html>", headers={"Content-Type": "text/html; charset=x"}), "no JSON object but text/html", 1),
        (Reply(body=b'{"place": '), "no JSON object but application/json", 1),
        (Reply(body=b"[1]"), "no JSON object but application/json", 1),
        (Reply(body=b"\xff\xfe\xfa"), "no JSON object but application/json", 1),
        (Reply(body=b"[" * 60_000), "no JSON object but application/json", 1),
        (Reply(body=b'{"a":"' + b"x" * 70_000 + b'"}'), "an answer of more than 65,536 bytes", 1),
        (Reply(302, headers={"Location": "/postcodes/2"}), "a redirect, which is not followed", 1),
        (Reply(400), "status 400", 1),
        (Reply(401), "the credentials were refused (status 401); renew the secret", 1),
        (Reply(body=b'{"a": 1}', pauses=(1.0,)), "no answer (ReadTimeoutError)", 3),
        (Reply(body=b'{"place": {"city": "Ulm"}}', pauses=(0.2,) * 13), "no answer (TimeoutError)", 3),
        (Reply(body=b'{"a": 1}', headers={"Content-Length": "100"}, pauses=(0.0,)), "no answer", 3),
    ],
)  # fmt: skip
def test_an_answer_of_another_kind_is_no_answer(reply: Reply, reason: str, requests: int) -> None:
    with Postcodes({"1": [reply], "2": [place("Ulm")]}) as api:
        [failure] = ask(api, "1", timeout_seconds=0.5)
        assert isinstance(failure, Failure)
        assert failure.reason.startswith(reason)
        assert api.asked == ["/postcodes/1"] * requests


def test_after_failures_in_a_row_nothing_is_asked_any_more() -> None:
    with Postcodes({"2": [place("Ulm")], "5": [Reply(400)]}, otherwise=BUSY) as api:
        found = ask(api, "1", "2", "3", "5", "4", "2", "6", retries=0, give_up_after=2)
        assert [isinstance(each, Answer) for each in found] == [False, True, False, False, False, False, False]
        assert found[-2:] == [NOT_ASKED, NOT_ASKED]
        assert [path[-1] for path in api.asked] == ["1", "2", "3", "5", "4"]
    with Postcodes({}, otherwise=Reply(403)) as api:
        assert ask(api, "1", "2", token="wrong")[1] is NOT_ASKED
        assert len(api.asked) == 1


def test_a_service_that_is_not_there_is_given_up_on() -> None:
    with Postcodes({}) as api:
        url = api.url
    with Asker(HttpLookup.model_validate(declared(give_up_after=1)), service(url)) as asker:
        first = asker.ask({"postcode": "1"})
        assert first == Failure("down", "no answer (ConnectionError)")
        assert asker.ask({"postcode": "2"}) is NOT_ASKED


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("a/../b", "/postcodes/a%2F..%2Fb"), ("?admin=1", "/postcodes/%3Fadmin%3D1"),
        ("%2e%2e", "/postcodes/%252e%252e"), ("@127.0.0.2", "/postcodes/%40127.0.0.2"),
        ("a#b", "/postcodes/a%23b"), ("ä b\n", "/postcodes/%C3%A4%20b%0A"),
        ("..", None), (".", None), ("", None),
    ],
)  # fmt: skip
def test_a_value_stays_inside_its_segment(key: str, path: str | None) -> None:
    with Postcodes({}) as api:
        assert ask(api, key) == [Answer(None)]
        assert api.asked == ([] if path is None else [path])


class Batches:
    """Frames of postcodes, enriched against one lake."""

    def __init__(self, spark: SparkSession, folder: Path) -> None:
        self.lake = Lake(spark, str(folder / "lake"))

    def frame(self, keys: Iterable[str | None]) -> DataFrame:
        return self.lake.spark.createDataFrame([(key,) for key in keys], "postcode string").coalesce(1)

    def enrich(self, api: Postcodes | str, keys: Iterable[str | None], **changes: Any) -> Enriched:
        rows = Conformed(self.frame(keys))
        each = Enrichment.model_validate({"http": declared(**changes)})
        url = api if isinstance(api, str) else api.url
        opened = {"geo_api": service(url, retries=0)}
        return enrich(rows, rows, [each], lake=self.lake, services=opened, known=None)

    def rows(self, enriched: Enriched) -> list[tuple[Any, ...]]:
        found = enriched.rows.frame.select("postcode", "city", "lat", "_lookup_geo_api").collect()
        return sorted((tuple(row) for row in found), key=str)

    def expire(self) -> None:
        """Let all cached answers be eight days older."""
        older = {"asked_at": "asked_at - INTERVAL 8 DAYS"}
        self.lake.handle("ops.lookup_cache").update(set=older)


@pytest.fixture
def batches(spark: SparkSession, tmp_path: Path) -> Batches:
    return Batches(spark, tmp_path)


def test_each_distinct_key_is_asked_once_and_joined_back_to_every_row(batches: Batches) -> None:
    with Postcodes({"1": [place("Ulm")], "2": [place("Bonn", lat=None)]}) as api:
        enriched = batches.enrich(api, ["1", "1", "2", "3", None, "", "1"])
        assert batches.rows(enriched) == [
            ("", None, None, "missing"),
            ("1", "Ulm", 1.5, "matched"),
            ("1", "Ulm", 1.5, "matched"),
            ("1", "Ulm", 1.5, "matched"),
            ("2", "Bonn", None, "matched"),
            ("3", None, None, "missing"),
            (None, None, None, "missing"),
        ]
        assert sorted(api.asked) == ["/postcodes/1", "/postcodes/2", "/postcodes/3"]
        assert enriched.notes == ()


def test_what_is_known_is_not_asked_again_until_it_expires(batches: Batches) -> None:
    with Postcodes({"1": [place("Ulm"), place("Neu-Ulm")], "2": [place("Bonn")]}) as api:
        batches.enrich(api, ["1", "3"])
        found = batches.rows(batches.enrich(api, ["1", "2", "3"]))
        assert found == [("1", "Ulm", 1.5, "matched"), ("2", "Bonn", 1.5, "matched"), ("3", None, None, "missing")]
        assert Counter(api.asked) == Counter({"/postcodes/1": 1, "/postcodes/2": 1, "/postcodes/3": 1})
        batches.expire()
        batches.enrich(api, ["3"], cache={"ttl": "1d", "negative_ttl": "9d"})
        assert len(api.asked) == 3
        assert batches.rows(batches.enrich(api, ["1"])) == [("1", "Neu-Ulm", 1.5, "matched")]
        assert len(api.asked) == 4
        # Another question about the same key is not answered by what was kept of the first.
        batches.enrich(api, ["1"], columns={"city": "place.city", "lat": "place.lon"})
        assert len(api.asked) == 5
    cache = batches.lake.read("ops.lookup_cache")
    assert cache.count() == cache.select("rest", "question", "key").distinct().count() == 4
    assert TOKEN not in str(cache.collect())


def test_a_service_that_is_down_costs_no_row(batches: Batches) -> None:
    with Postcodes({"1": [place("Ulm")]}) as api:
        batches.enrich(api, ["1", "2"])
        url = api.url
    batches.expire()
    with capture_logs() as logged:
        enriched = batches.enrich(url, ["1", "2", "4", "4"], fallback={"city": "unknown", "lat": 0}, give_up_after=2)
    reasons = {"no answer (ConnectionError)": 2, "not asked any more": 1}
    expected = {"log_level": "warning", "event": "service gave no answer", "keys": 3, "reasons": reasons}
    assert logged[-1] == {"enrichment": "geo_api", "rest": "geo_api"} | expected
    assert TOKEN not in str(logged)
    assert batches.rows(enriched) == [
        ("1", "Ulm", 1.5, "stale"),
        ("2", "unknown", 0.0, "fell_back"),
        ("4", "unknown", 0.0, "fell_back"),
        ("4", "unknown", 0.0, "fell_back"),
    ]
    [note] = enriched.notes
    assert note == (
        "geo_api: no answer for 3 of 3 keys asked for (no answer (ConnectionError): 2, not asked any more: 1); "
        "1 took an expired answer, 2 fell back"
    )
    judged = judge(enriched.rows.frame, enriched.rows.findings)
    marks = {row["postcode"]: [tuple(reason) for reason in row["_reasons"]] for row in judged.collect()}
    said = "geo_api gave no answer for postcode; "
    assert marks["1"] == [("geo_api_stale", f"{said}an expired answer was taken")]
    assert marks["4"] == [("geo_api_fell_back", f"{said}the fallback was taken")]
    assert {row["_verdict"] for row in judged.collect()} == {"good"}


def test_a_value_of_another_type_quarantines_its_row(batches: Batches) -> None:
    with Postcodes(
        {"1": [place("Ulm", lat="north")], "2": [place("Bonn", lat=True)], "3": [place("Köln", 50.9)]}
    ) as api:
        enriched = batches.enrich(api, ["1", "2", "3"])
    judged = judge(enriched.rows.frame, enriched.rows.findings).orderBy("postcode").collect()
    assert [(row["city"], row["lat"], row["_verdict"]) for row in judged] == [
        ("Ulm", None, "quarantined"), ("Bonn", None, "quarantined"), ("Köln", 50.9, "good")
    ]  # fmt: skip
    assert tuple(judged[0]["_reasons"][0]) == ("lat_is_castable", "lat: found north, expected a double")


def test_what_cannot_be_asked_for_is_refused_before_anything_is(batches: Batches) -> None:
    with Postcodes({}) as api:
        with pytest.raises(
            ConfigError, match=r"more than 2 keys of one batch are not in the cache.*raise max_new_keys"
        ):
            batches.enrich(api, ["1", "2", "3"], max_new_keys=2)
        with pytest.raises(TableError, match=r"http geo_api: no column 'zip'"):
            batches.enrich(api, ["1"], path="/postcodes/{zip}")
        with pytest.raises(TableError, match="have a column postcode already"):
            batches.enrich(api, ["1"], columns={"postcode": "code"})
        assert api.asked == []
        batches.enrich(api, ["1", "2", "2", "1", None], max_new_keys=2)
        assert len(api.asked) == 2


@pytest.mark.slow
@settings(max_examples=5)
@given(data=st.data())
def test_no_batch_asks_more_often_than_it_has_distinct_keys(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    keys = st.lists(st.sampled_from([None, "", "..", "a", "b", "c/d", "é", "x y"]), max_size=30)
    kinds = st.sampled_from([place("Ulm"), GONE, BUSY, Reply(400), Reply(body=b"<html>")])
    replies = {key: [data.draw(kinds)] for key in ("a", "b", "c%2Fd", "%C3%A9", "x%20y")}
    batches = Batches(spark, tmp_path_factory.mktemp("batches"))
    with Postcodes(replies) as api:
        for drawn in data.draw(st.lists(keys, min_size=1, max_size=2)):
            before = len(api.asked)
            enriched = batches.enrich(api, drawn, concurrency=data.draw(st.integers(1, 8)))
            assert len(api.asked) - before <= len(set(drawn))
            assert Counter(row[0] for row in batches.rows(enriched)) == Counter(drawn)


@dataclass(frozen=True)
class Shop:
    """A drop folder of orders, a lake with plans, and the pipeline that looks up both plan and postcode."""

    spark: SparkSession
    folder: Path
    api: Postcodes
    plan: dict[str, Any] = field(default_factory=dict)
    geo: dict[str, Any] = field(default_factory=dict)

    @property
    def lake(self) -> Lake:
        return Lake(self.spark, str(self.folder / "lake"))

    def drop(self, name: str, *lines: str) -> None:
        (self.folder / "drop").mkdir(exist_ok=True)
        (self.folder / "drop" / name).write_text("\n".join(["id,plan,postcode", *lines, ""]))

    def pipeline(self, lake: Lake | None = None) -> Pipeline:
        plans = {"table": "silver.plans", "on": {"plan": "plan_id"}, "columns": {"plan_name": "name"}}
        spec = PipelineSpec.model_validate(
            {
                "pipeline": "orders",
                "description": "Orders",
                "source": {
                    "files": "drop",
                    "formats": {"csv": {}},
                    "fields": ["id", "plan", "postcode"],
                    "settle": "0s",
                },
                "transforms": [{"dedupe": {"keys": ["id"]}}],
                "enrich": [{"lookup": plans | self.plan}, {"http": declared(**self.geo)}],
                "rules": [{"is_not_null": {"column": "city", "severity": "warn"}}],
                "sink": {"table": "silver.orders"},
            }
        )
        assert isinstance(spec.source, FilesSource)
        catalog = FileCatalog(self.lake.root, "orders", None)
        source = FilesReader(self.spark, str(self.folder / "drop"), spec.source, catalog)
        return Pipeline(spec, source, lake or self.lake, {"geo_api": service(self.api.url, retries=0)})

    def run(self, lake: Lake | None = None) -> RunEntry:
        return self.pipeline(lake).run(RunContext("run", "test"), lambda text: None)

    def orders(self) -> list[tuple[Any, ...]]:
        rows = self.lake.read("silver.orders").select("id", "plan_name", "city", "lat").collect()
        return sorted(tuple(row) for row in rows)

    def results(self) -> dict[str, tuple[str, int]]:
        rows = self.lake.read("ops.rule_results").collect()
        return {row["rule"]: (row["severity"], row["violations"]) for row in rows}


def plans(lake: Lake, *rows: tuple[str, str]) -> None:
    frame = lake.spark.createDataFrame(list(rows), "plan_id string, name string")
    lake.write("silver.plans", frame, mode="overwrite")


def test_a_pipeline_with_both_kinds_accounts_for_every_row(spark: SparkSession, tmp_path: Path) -> None:
    replies = {"10": [place("Ulm")], "20": [BUSY], "40": [place("Bonn", "north")]}
    lines = ["a,p1,10", "a,p1,10", "b,p9,10", "c,p1,20", "d,p1,30", "e,p1,40", "f,p1", "g,,10"]
    with Postcodes(replies) as api:
        geo = {"fallback": {"city": "unknown"}, "at_least": "50%"}
        shop = Shop(spark, tmp_path, api, {"missing": "quarantine", "at_least": "60%"}, geo)
        plans(shop.lake, ("p1", "Basic"), ("p2", "Plus"))
        shop.drop("1.csv", *lines)
        entry = shop.run()
        # b and g have no plan, e's latitude is none, f is malformed, one a is dropped.
        assert entry.counts == RowCounts(read=8, good=3, quarantined=4, dropped=1)
        assert entry.message == (
            "1 new file; geo_api: no answer for 1 of 4 keys asked for (status 503: 1); "
            "0 took an expired answer, 1 fell back"
        )
        assert shop.orders() == [
            ("a", "Basic", "Ulm", 1.5),
            ("c", "Basic", "unknown", None),
            ("d", "Basic", None, None),
        ]
        assert {rule: found for rule, found in shop.results().items() if found[1]} == {
            "malformed": ("error", 1),
            "plans_matches": ("error", 2),
            "geo_api_matches": ("counted", 1),
            "geo_api_fell_back": ("warn", 1),
            "lat_is_castable": ("error", 1),
            "city_is_not_null": ("warn", 1),
        }
        outcomes = shop.lake.read("bronze.orders").groupBy("_lookup_plans", "_lookup_geo_api").count().collect()
        assert Counter({(row[0], row[1]): row[2] for row in outcomes}) == Counter(
            {("matched", "matched"): 2, ("missing", "matched"): 2, ("matched", "fell_back"): 1,
             ("matched", "missing"): 1, (None, None): 2}
        )  # fmt: skip
        assert len(api.asked) == 4
        shop.drop("2.csv", "h,p2,10")
        assert shop.run().counts == RowCounts(read=1, good=1)
        assert len(api.asked) == 4


@pytest.mark.slow
def test_a_batch_that_matches_too_little_is_withdrawn_and_read_again(spark: SparkSession, tmp_path: Path) -> None:
    with Postcodes({"10": [place("Ulm")]}) as api:
        shop = Shop(spark, tmp_path, api, {"at_least": "66.67%"})
        plans(shop.lake, ("p1", "Basic"))
        shop.drop("1.csv", "a,p1,10", "b,p1,10", "c,p2,10")
        with pytest.raises(
            RuleFailedError,
            match=r"orders: plans matched 66\.66% of 3 rows \(2\), expected at least 66\.67%, so silver\.orders was",
        ):
            shop.run()
        assert not shop.lake.exists("silver.orders")
        assert shop.lake.read("bronze.orders").count() == 0
        plans(shop.lake, ("p1", "Basic"), ("p2", "Plus"))  # the reference row arrives late
        assert shop.run().counts == RowCounts(read=3, good=3)
        assert [row[1] for row in shop.orders()] == ["Basic", "Basic", "Plus"]
        assert len(api.asked) == 1


def test_a_service_that_is_down_withdraws_the_batch_where_a_share_is_declared(
    spark: SparkSession, tmp_path: Path
) -> None:
    with Postcodes({"10": [BUSY, place("Ulm")]}) as api:
        shop = Shop(spark, tmp_path, api, geo={"at_least": "95%"})
        plans(shop.lake, ("p1", "Basic"))
        shop.drop("1.csv", "a,p1,10")
        with pytest.raises(RuleFailedError, match=r"geo_api matched 0\.00% of 1 rows.*status 503: 1"):
            shop.run()
        assert shop.run().counts == RowCounts(read=1, good=1)


@dataclass(frozen=True)
class DyingLake(Lake):
    """A lake whose process ends right after bronze is committed."""

    def write(self, table: str, frame: DataFrame, **options: Any) -> None:
        super().write(table, frame, **options)
        raise KeyboardInterrupt


@pytest.mark.parametrize("share", ["66%", "67%"])
def test_a_batch_killed_after_bronze_is_measured_by_what_stands_there(
    spark: SparkSession, tmp_path: Path, share: str
) -> None:
    with Postcodes({"10": [place("Ulm")]}) as api:
        shop = Shop(spark, tmp_path, api, {"at_least": share})
        plans(shop.lake, ("p1", "Basic"))
        shop.drop("1.csv", "a,p1,10", "b,p1,10", "c,p2,10")
        with pytest.raises(KeyboardInterrupt):
            shop.run(DyingLake(spark, shop.lake.root))
        plans(shop.lake, ("p1", "Basic"), ("p2", "Plus"))
        if share == "67%":
            with pytest.raises(RuleFailedError, match=r"plans matched 66\.66% of 3 rows"):
                shop.run()
        else:
            assert shop.run().counts == RowCounts(read=3, good=3)
            assert [row[1] for row in shop.orders()] == ["Basic", "Basic", None]
            assert shop.results()["plans_matches"] == ("counted", 1)
        assert len(api.asked) == 1
