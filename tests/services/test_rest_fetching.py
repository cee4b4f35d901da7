"""Pages of every kind from a real server on loopback, landed as files; failures, loops, and going on. No JVM."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lakeloop.core.connections import RestConnection
from lakeloop.ingestion.http.client import Client
from lakeloop.ingestion.http.service import Service
from lakeloop.ingestion.source_specs import RestSource
from lakeloop.ingestion.sources.rest.fetching import fetch
from lakeloop.ingestion.sources.rest.reach import Fetched, Reach
from tests.loopback_api import Asked, LoopbackApi, Reply

SECRET = "s3cret+/=&x"
Record = dict[str, Any]
PAGES = {"pages": {"size": 2}}
OFFSET = {"offset": {"size": 2}}
CURSOR = {"cursor": {"param": "after", "next": "meta.next"}}
LINK: dict[str, Any] = {"link": {}}
BODY_LINK = {"link": {"next": "meta.url"}}
KINDS = {"pages": PAGES, "offset": OFFSET, "cursor": CURSOR, "link": LINK, "body": BODY_LINK}
WAYS = pytest.mark.parametrize("way", KINDS.values(), ids=KINDS.keys())


def numbered(*numbers: int) -> list[Record]:
    return [{"id": n, "at": f"2026-01-01T00:00:{n:02d}Z"} for n in numbers]


class Paged:
    """An API that offers its records two by two, in each of the ways at once; `at` or later with `since`."""

    def __init__(self, records: Sequence[Record], key: str = "at") -> None:
        self.records, self.key = list(records), key
        self.fails_from: int | None = None
        self.forgets = "nothing"
        self.url = ""

    def __call__(self, asked: Asked) -> Reply:
        query = asked.query
        if self.forgets in (query.get("after"), query.get("start")):
            self.forgets = "nothing more"
            return Reply(410)
        start = int(query.get("offset") or query.get("after") or query.get("start") or 0)
        start = (int(query["page"]) - 1) * 2 if "page" in query else start
        if self.fails_from is not None and start >= self.fails_from:
            return Reply(503)
        records = [each for each in self.records if each[self.key] >= query.get("since", "")]
        following = start + 2 if start + 2 < len(records) else None
        link = f"{self.url}/u?start={following}&since={query.get('since', '')}&key={query.get('key', '')}"
        meta = {"next": following, "url": link if following else None}
        headers = {"Link": f'<{self.url}/u?start=0>; rel="first", <{link}>; rel="next"'} if following else {}
        return Reply(body=json.dumps({"data": records[start : start + 2], "meta": meta}).encode(), headers=headers)


class Source:
    """A source that reads `paged`, batch after batch, each behind what the one before reached."""

    def __init__(self, folder: Path, **declared: Any) -> None:
        self.folder, self.reach, self.number = folder, Reach(), 0
        self.settings: dict[str, Any] = {"auth": {"bearer": "${secret:t}"}, "retries": 0, "backoff_seconds": 0}
        self.declared: dict[str, Any] = {"rest": "api", "path": "/u", "records": "data"} | declared

    def fetch(self, api: LoopbackApi) -> Fetched:
        self.number += 1
        connection = RestConnection.model_validate({"base_url": api.url} | self.settings)
        with Client(Service("api", connection, SECRET)) as client:
            spec, folder = RestSource.model_validate(self.declared), str(self.folder / str(self.number))
            found = fetch(spec, client, [], self.reach, folder, lambda text: None)
        found = Fetched.of_json(json.loads(json.dumps(found.as_json)))  # as it comes out of a ledger or an executor
        self.reach = found.reach
        assert SECRET not in str(found)
        return found


def landed(fetched: Fetched, field: str = "id") -> list[Any]:
    lines = [line for file in fetched.files for line in Path(file).read_text().splitlines() if line]
    return [json.loads(line)[field] for line in lines]


@WAYS
def test_all_pages_come_in_their_order(tmp_path: Path, way: dict[str, Any]) -> None:
    paged = Paged(numbered(*range(5)))
    with LoopbackApi(paged) as api:
        paged.url = api.url
        found = Source(tmp_path, paginate=way).fetch(api)
        assert landed(found) == [0, 1, 2, 3, 4]
        assert (found.records, found.failure, found.reach.at) == (5, None, None)
        assert len(api.requests) == 3
        origins = [origin.removeprefix(api.url) for origin in found.files.values()]
    name = next(iter(way))
    expected = {
        "pages": ["/u?page=1", "/u?page=2", "/u?page=3"],
        "offset": ["/u?offset=0", "/u?offset=2", "/u?offset=4"],
        "cursor": ["/u", "/u?after=2", "/u?after=4"],
        "link": ["/u", "/u?start=2&since=&key=", "/u?start=4&since=&key="],
    }
    assert origins == expected[name]


@WAYS
def test_pages_before_a_failure_are_kept_and_the_next_batch_goes_on_there(tmp_path: Path, way: dict[str, Any]) -> None:
    paged, source = Paged(numbered(*range(5))), Source(tmp_path, paginate=way)
    with LoopbackApi(paged) as api:
        paged.url, paged.fails_from = api.url, 2
        stopped = source.fetch(api)
        assert landed(stopped) == [0, 1]
        assert stopped.failure is not None
        assert stopped.failure.endswith("status 503 after 0 retries")
        again = source.fetch(api)
        assert (again.files, again.reach) == ({}, stopped.reach)
        paged.fails_from = None
        assert landed(source.fetch(api)) == [2, 3, 4]
        assert landed(source.fetch(api)) == [0, 1, 2, 3, 4]  # without a cursor each reading is a whole one


@WAYS
def test_a_batch_takes_no_more_pages_than_declared(tmp_path: Path, way: dict[str, Any]) -> None:
    paged, source = Paged(numbered(*range(5))), Source(tmp_path, paginate=way | {"max_pages": 2})
    with LoopbackApi(paged) as api:
        paged.url = api.url
        first = source.fetch(api)
        assert (landed(first), first.failure) == ([0, 1, 2, 3], None)
        assert first.reach.at is not None
        second = source.fetch(api)
        assert (landed(second), second.reach.at) == ([4], None)


def test_without_pagination_one_answer_is_all(tmp_path: Path) -> None:
    with LoopbackApi(lambda asked: Reply(body=b'[{"id": 1}, {"id": 2}]')) as api:
        found = Source(tmp_path, records="$").fetch(api)
        assert landed(found) == [1, 2]
        assert [asked.target for asked in api.requests] == ["/u"]


def test_no_content_is_an_empty_page(tmp_path: Path) -> None:
    def answer(asked: Asked) -> Reply:
        return Reply(204) if asked.query["page"] == "2" else Reply(body=json.dumps({"data": numbered(0, 1)}).encode())

    with LoopbackApi(answer) as api:
        found = Source(tmp_path, paginate=PAGES).fetch(api)
    assert (landed(found), found.failure, found.reach.at) == ([0, 1], None, None)


def test_parameters_are_sent_with_each_request(tmp_path: Path) -> None:
    paged = Paged(numbered(0, 1, 2))
    with LoopbackApi(paged) as api:
        Source(tmp_path, paginate=PAGES, parameters={"expand": "a b&c", "deep": True, "n": 1}).fetch(api)
        expected = {"expand": "a b&c", "deep": "true", "n": "1", "per_page": "2"}
        assert [asked.query for asked in api.requests] == [expected | {"page": page} for page in "12"]


def test_pages_until_an_empty_one(tmp_path: Path) -> None:
    paged = Paged(numbered(0, 1, 2))
    with LoopbackApi(paged) as api:
        source = Source(tmp_path, paginate={"pages": {"size": 100, "until": "empty"}})  # it gives two at most
        assert landed(source.fetch(api)) == [0, 1, 2]
        assert len(api.requests) == 3


LOOPS = {
    "the page parameter is not known": (PAGES, lambda asked: {"data": numbered(1, 2), "meta": {}}),
    "the same cursor": (CURSOR, lambda asked: {"data": numbered(len(asked.query)), "meta": {"next": "x"}}),
    "the same link": (BODY_LINK, lambda asked: {"data": numbered(len(asked.query)), "meta": {"url": "/u?a=1"}}),
    "two cursors in turn": (
        CURSOR,
        lambda asked: {"data": [], "meta": {"next": "y" if asked.query.get("after") == "x" else "x"}},
    ),
}


def test_another_way_of_paging_begins_the_unfinished_reading_anew(tmp_path: Path) -> None:
    incremental = {"cursor": "at", "param": "since"}
    source = Source(tmp_path, paginate=PAGES, incremental=incremental)
    with LoopbackApi(Paged(numbered(0, 1))) as api:
        source.fetch(api)
    paged = Paged([*numbered(9, 8, 7, 6)])
    with LoopbackApi(paged) as api:
        paged.fails_from = 2
        assert landed(source.fetch(api)) == [9, 8]
        paged.fails_from = None
        source.declared["paginate"] = CURSOR
        assert landed(source.fetch(api)) == [7, 6]  # from where that began, or 7 and 6 were lost
        assert {asked.query.get("since") for asked in api.requests} == {"2026-01-01T00:00:01Z"}


@pytest.mark.parametrize("name", LOOPS)
def test_a_loop_is_noticed_and_what_came_before_it_has_landed(tmp_path: Path, name: str) -> None:
    way, answer = LOOPS[name]
    with LoopbackApi(lambda asked: Reply(body=json.dumps(answer(asked)).encode())) as api:
        source = Source(tmp_path, paginate=way)
        found = source.fetch(api)
        assert found.failure is not None
        assert "check paginate" in found.failure
        assert len(api.requests) <= 4
        assert len(landed(found)) == (0 if name == "two cursors in turn" else 2)
        again = source.fetch(api)  # and nothing of it comes twice
        assert again.failure is not None
        assert again.files == {}


def test_a_next_link_that_leads_elsewhere_is_not_followed(tmp_path: Path) -> None:
    def answer(asked: Asked) -> Reply:
        url = "http://10.0.0.1/u" if asked.path == "/u" else None
        return Reply(body=json.dumps({"data": numbered(1), "meta": {"url": url}}).encode())

    with LoopbackApi(answer) as api:
        source = Source(tmp_path, paginate=BODY_LINK)
        found = source.fetch(api)
        assert found.failure is not None
        assert "the link to the next page leads to 10.0.0.1:80, another origin" in found.failure
        assert landed(found) == [1]
        assert source.fetch(api).files == {}  # the page has landed already


def test_a_link_that_was_refused_is_followed_once_it_is_allowed(tmp_path: Path) -> None:
    with LoopbackApi(lambda asked: Reply(body=json.dumps({"data": numbered(2)}).encode())) as other:
        first = Reply(body=json.dumps({"data": numbered(1), "meta": {"url": f"{other.url}/rest"}}).encode())
        with LoopbackApi(lambda asked: first) as api:
            source = Source(tmp_path, paginate=BODY_LINK)
            assert landed(source.fetch(api)) == [1]
            source.settings["allow_hosts"] = [f"127.0.0.1:{other.port}"]
            found = source.fetch(api)
            assert (landed(found), found.failure) == ([2], None)
            assert other.requests[0].headers["Authorization"] == f"Bearer {SECRET}"


@WAYS
def test_only_what_is_new_comes_however_often_the_api_repeats_it(tmp_path: Path, way: dict[str, Any]) -> None:
    incremental = {"cursor": "at", "param": "since"}
    paged, source = Paged(numbered(0, 1, 2)), Source(tmp_path, paginate=way, incremental=incremental)
    with LoopbackApi(paged) as api:
        paged.url = api.url
        assert landed(source.fetch(api)) == [0, 1, 2]
        assert source.reach.greatest == "2026-01-01T00:00:02Z"
        again = source.fetch(api)
        assert (again.files, again.records, again.known) == ({}, 0, 1)  # the API means "at or after"
        paged.records += numbered(2, 3)  # one more at the same moment, but for its content
        paged.records[3]["id"] = 20
        assert landed(source.fetch(api)) == [20, 3]


def test_an_overlap_brings_what_came_late_and_nothing_twice(tmp_path: Path) -> None:
    incremental = {"cursor": "at", "param": "since", "overlap": "3s"}
    paged, source = Paged(numbered(1, 5, 6)), Source(tmp_path, paginate=PAGES, incremental=incremental)
    with LoopbackApi(paged) as api:
        assert landed(source.fetch(api)) == [1, 5, 6]
        paged.records = sorted([*paged.records, *numbered(2, 4)], key=lambda each: each["at"])
        found = source.fetch(api)
        assert (landed(found), found.known) == ([4], 2)  # 2 is older than the overlap reaches
        assert api.requests[-1].query["since"] == "2026-01-01T00:00:03Z"
        assert source.fetch(api).records == 0
        paged.records += numbered(8)
        assert landed(source.fetch(api)) == [8]


def test_an_overlap_that_does_not_fit_the_cursor_is_said_before_anything_lands(tmp_path: Path) -> None:
    incremental = {"cursor": "at", "param": "since", "overlap": 5}
    with LoopbackApi(Paged(numbered(1))) as api:
        found = Source(tmp_path, incremental=incremental).fetch(api)
    assert found.failure is not None
    assert "is a time, which its overlap does not fit; declare a length of time, as overlap: 1h" in found.failure
    assert (found.files, found.reach) == ({}, Reach())


def test_a_record_of_a_wrong_clock_hides_no_other(tmp_path: Path) -> None:
    incremental = {"cursor": "at", "param": "since"}
    ahead = {"id": 9, "at": "9000-01-01T00:00:00Z"}
    paged, source = (
        Paged([*numbered(1), ahead, *numbered(2)]),
        Source(tmp_path, paginate=PAGES, incremental=incremental),
    )
    with LoopbackApi(paged) as api:
        found = source.fetch(api)
        assert (landed(found), found.held, found.reach.greatest) == ([1, 2], 1, "2026-01-01T00:00:02Z")
        paged.records += numbered(3)
        found = source.fetch(api)
        assert (landed(found), found.held) == ([3], 1)
        ahead["at"] = "2026-01-01T00:00:04Z"
        assert landed(source.fetch(api)) == [9]


def test_a_place_in_the_page_stays_where_records_are_left_out(tmp_path: Path) -> None:
    incremental = {"cursor": "at", "param": "since"}
    paged, source = Paged(numbered(0, 1)), Source(tmp_path, paginate=PAGES, incremental=incremental)
    with LoopbackApi(paged) as api:
        source.fetch(api)
        paged.records += numbered(2)
        [file] = source.fetch(api).files
    assert [bool(line) for line in Path(file).read_text().splitlines()] == [False, True]


def test_a_key_tells_versions_of_a_record_apart_by_their_cursor(tmp_path: Path) -> None:
    incremental = {"cursor": "at", "param": "since", "overlap": "1h", "key": ["id"]}
    paged, source = Paged(numbered(0, 1)), Source(tmp_path, paginate=PAGES, incremental=incremental)
    with LoopbackApi(paged) as api:
        assert landed(source.fetch(api)) == [0, 1]
        paged.records[0] = paged.records[0] | {"note": "no new version, its cursor is the same"}
        paged.records[1] = paged.records[1] | {"at": "2026-01-01T00:00:09Z"}
        assert landed(source.fetch(api), "at") == ["2026-01-01T00:00:09Z"]


@pytest.mark.parametrize("way", [CURSOR, LINK, BODY_LINK], ids=["cursor", "link", "body"])
def test_a_position_that_the_api_has_forgotten_begins_anew_without_repeating(
    tmp_path: Path, way: dict[str, Any]
) -> None:
    incremental = {"cursor": "at", "param": "since"}
    paged, source = Paged(numbered(*range(6))), Source(tmp_path, paginate=way, incremental=incremental)
    with LoopbackApi(paged) as api:
        paged.url, paged.fails_from = api.url, 4
        assert landed(source.fetch(api)) == [0, 1, 2, 3]
        paged.fails_from = None

        paged.forgets = "4"
        found = source.fetch(api)
        assert (landed(found), found.failure, found.known) == ([4, 5], None, 4)


@pytest.mark.parametrize(
    ("reply", "declared", "said"),
    [
        (Reply(body=b"<html>log in</html>", headers={"Content-Type": "text/html; charset=x"}), {},
         "expected a JSON object with the list 'data', found text/html: '<html>log in</html>'"),
        (Reply(body=b'{"data": ['), {}, "found JSON that breaks at character 10"),
        (Reply(body=b'{"items": [], "page": 1}'), {}, "found the keys items, page; declare where it is under records"),
        (Reply(body=b'{"data": 7}'), {}, "'data' is not a list of objects but a number"),
        (Reply(body=b'{"data": ["a"]}'), {}, "'data' is not a list of objects but a list of strings"),
        (Reply(body=b'[1]'), {"records": "$"}, "the answer is not a list of objects but a list of numbers"),
        (Reply(body=b'{"data": [{"a": "\xff"}]}'), {}, "byte 17 of the answer is not valid UTF-8, which JSON is"),
        (Reply(body=b"[" * 100_000), {}, "nested too deeply"),
        (Reply(body=b"x" * 10_000_001), {"answer_bytes": 10_000_000},
         "an answer of more than 10,000,000 bytes; ask for smaller pages, or raise answer_bytes"),
        (Reply(body=gzip.compress(b"x" * 9_000_000), headers={"Content-Encoding": "gzip"}), {"answer_bytes": 1_000_000},
         "an answer of more than 1,000,000 bytes"),
        (Reply(404), {}, "status 404, expected 200; check the path"),
        (Reply(400), {}, "status 400, expected 200; check path, parameters and paginate"),
        (Reply(401), {}, "the credentials were refused (status 401); renew the secret"),
        (Reply(500), {}, "status 500 after 0 retries"),
        (Reply(429, headers={"Retry-After": "3600"}), {}, "left alone for 1 h, and longest_wait"),
        (Reply(body=f"token {SECRET} is no JSON".encode()), {}, "'token *** is no JSON'"),
        (Reply(body=f"{'x' * 75} {SECRET}".encode()), {}, f"'{'x' * 75} ***'"),
        (Reply(body=b'{"data": [], "meta": {"next": [1]}}'), {"paginate": CURSOR}, "'meta.next' is a list"),
    ],
)  # fmt: skip
def test_an_answer_of_another_kind_is_explained(
    tmp_path: Path, reply: Reply, declared: dict[str, Any], said: str
) -> None:
    with LoopbackApi(lambda asked: reply) as api:
        found = Source(tmp_path, **declared).fetch(api)
        assert found.failure is not None
        assert found.failure.startswith(f"api: {api.url}/u: ")
        assert said in found.failure
        assert found.files == {}


def test_a_key_in_the_query_stands_nowhere(tmp_path: Path) -> None:
    paged = Paged([{"id": n, "at": "1", "self": f"/u/{n}?key=s3cret%2B%2F%3D%26x"} for n in range(3)])
    source = Source(tmp_path, paginate=LINK)
    source.settings["auth"] = {"api_key": {"key": "${secret:t}", "query": "key"}}
    with LoopbackApi(paged) as api:
        paged.url = api.url
        found = source.fetch(api)
        assert {asked.query["key"] for asked in api.requests} == {SECRET}
        assert all(asked.target.count("key=") == 1 for asked in api.requests)
    assert landed(found, "self") == [f"/u/{n}?key=***" for n in range(3)]
    assert "key=" not in str(list(found.files.values()))


def test_records_may_lie_deep_and_explode(tmp_path: Path) -> None:
    orders = [{"id": 1, "lines": [{"sku": "a"}, {"sku": "b"}]}, {"id": 2, "lines": []}, {"id": 3}]
    body = json.dumps({"result": {"orders": orders}}).encode()
    with LoopbackApi(lambda asked: Reply(body=body)) as api:
        found = Source(tmp_path, records="result.orders", explode="lines").fetch(api)
    [file] = found.files
    assert [json.loads(line) for line in Path(file).read_text().splitlines()] == [
        {"id": 1, "lines": {"sku": "a"}}, {"id": 1, "lines": {"sku": "b"}}, {"id": 2, "lines": []}, {"id": 3}
    ]  # fmt: skip


def test_values_of_every_kind_land_as_they_are(tmp_path: Path) -> None:
    record = r'{"id":"ü \u2028 \n \ud800","n":1.10,"big":12345678901234567890,"l":[1,{"a":null}],"k":1,"k":2}'
    with LoopbackApi(lambda asked: Reply(body=f'{{"data": [{record}, null]}}'.encode())) as api:
        [file] = Source(tmp_path).fetch(api).files
    first, second, _ = Path(file).read_bytes().split(b"\n")
    assert first.decode() == record.replace(r"\u2028", "\u2028")
    assert second == b"null"


def test_what_is_seen_of_keys_and_types(tmp_path: Path) -> None:
    records = [
        {"id": 1, "kwh": 1.5, "name": "12", "address": {"city": "Ulm", "zip": "0"}, "on": True, "day": "2026-01-01"},
        {"id": 2, "kwh": 2, "name": None, "tags": []},
    ]
    with LoopbackApi(lambda asked: Reply(body=json.dumps({"data": records}).encode())) as api:
        found = Source(tmp_path, fields={"id": "id", "city": "address.city", "zip": "address.zip"}).fetch(api)
    assert found.types == {
        "id": "bigint", "city": "string", "zip": "string", "kwh": "double", "name": "string", "on": "boolean",
        "day": "date", "tags": "nested",
    }  # fmt: skip
    assert found.kinds["name"] == ["string"]
    assert found.kinds["tags"] == ["list"]
