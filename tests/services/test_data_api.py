"""The data API over HTTP as readers meet it: a real server on loopback, real tables, real keys."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
import uvicorn
from deltalake import DeltaTable

from lakeloop.lake.audit import audit_entries
from lakeloop.serving.data.api import build_app
from lakeloop.serving.data.service import DataService
from lakeloop.verbs.access import data_service
from tests.small_lake import NEW, PERSON, SECRETS, accept_visits, add_visits, append, write_lake

PEOPLE, VISITS = "/tables/silver.people", "/tables/silver.visits"


@dataclass(frozen=True)
class Api:
    """A server that is running, and what it serves."""

    url: str
    root: str
    service: DataService

    def get(self, path: str, key: str | None = "analyst", **params: Any) -> requests.Response:
        headers = {"X-API-Key": SECRETS.get(key, key)} if key is not None else {}
        return requests.get(self.url + path, params=params, headers=headers, timeout=30)

    def query(self, sql: str, key: str = "analyst", **more: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {SECRETS[key]}"}
        return requests.post(f"{self.url}/query", json={"sql": sql} | more, headers=headers, timeout=60)

    def pages(self, path: str, **params: Any) -> Iterator[list[dict[str, Any]]]:
        while True:
            answer = self.get(path, **params).json()
            yield answer["rows"]
            if answer["next"] is None:
                return
            params["page"] = answer["next"]


class ServerThread:
    """uvicorn in a thread; its end is the end of the application too."""

    def __init__(self, service: DataService) -> None:
        config = uvicorn.Config(build_app(service), host="127.0.0.1", port=0, log_config=None, access_log=False)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run)

    def __enter__(self) -> str:
        self.thread.start()
        while not self.server.started:
            assert self.thread.is_alive()
            time.sleep(0.01)
        return f"http://127.0.0.1:{self.server.servers[0].sockets[0].getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True
        self.thread.join()


@contextmanager
def serving(folder: Path) -> Iterator[Api]:
    project = write_lake(folder)
    service = data_service(project)
    with ServerThread(service) as url:
        yield Api(url, project.lake_root, service)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """For tests that change nothing."""
    with serving(tmp_path_factory.mktemp("api")) as api:
        yield api


@pytest.fixture
def own_api(tmp_path: Path) -> Iterator[Api]:
    with serving(tmp_path) as api:
        yield api


def sentence(response: requests.Response, status: int) -> str:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    said: str = response.json()["error"]
    assert list(response.json()) == ["error"]
    assert "Traceback" not in said
    return said


def test_without_the_right_key_nothing_is_answered(api: Api) -> None:
    for path in ("/tables", PEOPLE, f"{PEOPLE}/rows"):
        assert "this request has none" in sentence(api.get(path, key=None), 401)
        assert "one that is not known" in sentence(api.get(path, key="analyst-0123456789abcdeg"), 401)
        assert "this request has none" in sentence(api.get(path, key=""), 401)
    asked = {"sql": "SELECT * FROM silver.people"}
    response = requests.post(f"{api.url}/query", json=asked, timeout=30)
    assert response.headers["WWW-Authenticate"] == "Bearer"
    sentence(response, 401)
    assert "rows" not in response.text


def test_health_and_metrics_need_no_key_and_name_no_table(own_api: Api) -> None:
    assert own_api.get(f"{PEOPLE}/rows").status_code == 200
    assert own_api.get("/health", key=None).json() == {"status": "ok"}
    text = own_api.get("/metrics", key=None).text
    assert 'lakeloop_api_requests_total{method="GET",route="/tables/{name}/rows",status="200"} 1.0' in text
    assert "people" not in text


def test_a_key_sees_and_reads_what_it_reaches(api: Api) -> None:
    names = {
        key: [table["name"] for table in api.get("/tables", key=key).json()["tables"]]
        for key in SECRETS
        if key != "masking_key"
    }
    assert names["analyst"] == ["silver.people", "silver.visits"]
    assert names["dashboard"] == names["hasty"] == ["silver.visits"]
    assert names["steward"] == ["bronze.people", "bronze.visits", "silver.people", "silver.visits"]
    for path in (PEOPLE, f"{PEOPLE}/rows", "/tables/bronze.visits/rows", "/tables/silver.nothing"):
        assert "does not reach" in sentence(api.get(path, key="dashboard"), 403)
    assert "there is no table 'silver.nothing'" in sentence(api.get("/tables/silver.nothing"), 404)
    assert "may not query" in sentence(api.query("SELECT 1", key="dashboard"), 403)
    assert "no table 'bronze.people'" in sentence(api.query("SELECT * FROM bronze.people"), 400)


def test_a_table_is_described(api: Api) -> None:
    described = api.get(PEOPLE).json()
    assert (described["rows"], described["version"], described["owner"]) == (4, 0, "crm-team")
    assert 0 <= described["seconds_since_change"] < 3600
    columns = {column["name"]: column for column in described["columns"]}
    assert columns["email"] == {
        "name": "email", "type": "string", "description": "Contact address", "tags": ["pii"], "mask": "hash"
    }  # fmt: skip
    assert (columns["age"]["type"], columns["age"]["mask"]) == ("int32", None)
    view = api.get(VISITS).json()
    assert (view["rows"], view["view_of"]) == (4, "bronze.visits")
    steward = {column["name"]: column["mask"] for column in api.get(PEOPLE, key="steward").json()["columns"]}
    assert steward["email"] is None


def test_rows_columns_and_filters(api: Api) -> None:
    def found(*where: str, **params: Any) -> list[Any]:
        answer = api.get(f"{PEOPLE}/rows", columns="person_id", where=where, **params)
        assert answer.status_code == 200, answer.text
        return sorted(row["person_id"] for row in answer.json()["rows"])

    assert found() == ["a", "b", "c", "d"]
    assert found("age:ge:31") == ["c"]
    assert found("age:null:") == ["b"]
    assert found("age:notnull", "age:ne:41") == ["a", "d"]
    assert found("at:lt:2021-01-01") == ["a"]
    assert found("at:eq:2026-05-01T02:00:00+02:00") == ["b", "c", "d"]
    assert found("person_id:eq:a' OR 'a'='a") == []
    assert found("person_id:gt:b", "person_id:le:c") == ["c"]
    row = api.get(f"{PEOPLE}/rows", columns="at,age", where="person_id:eq:b").json()["rows"]
    assert row == [{"at": "2026-05-01T00:00:00+00:00", "age": None}]


def test_a_filter_that_does_not_fit_is_one_sentence(api: Api) -> None:
    def refused(where: str) -> str:
        return sentence(api.get(f"{PEOPLE}/rows", where=where), 400)

    assert "'old' is no value of 'age', whose type is int32" in refused("age:ge:old")
    assert "is no value of 'age'" in refused("age:ge:99999999999999")
    assert "no operator 'like'" in refused("age:like:3")
    assert "no column 'agee'; did you mean 'age'?" in refused("agee:ge:3")
    assert "no column '1=1) --'" in refused("1=1) --")
    assert "no column 'nope'" in sentence(api.get(f"{PEOPLE}/rows", columns="age,nope"), 400)
    assert "20 filters at most" in sentence(api.get(f"{PEOPLE}/rows", where=["age:ge:1"] * 21), 400)


def test_personal_data_are_masked_and_no_filter_tells_them(api: Api) -> None:
    rows = {row["person_id"]: row for row in api.get(f"{PEOPLE}/rows").json()["rows"]}
    assert [rows[name]["city"] for name in "abcd"] == ["***", "***", None, "***"]
    assert rows["a"]["email"] == rows["c"]["email"] != rows["d"]["email"]
    assert rows["b"]["email"] is None
    by_sql = dict(api.query("SELECT person_id, email FROM silver.people").json()["rows"])
    assert by_sql == {name: row["email"] for name, row in rows.items()}
    for where in ("city:eq:Bern", "city:ge:B", "email:null", "city:notnull", "email:eq:***"):
        assert "is masked for this key" in sentence(api.get(f"{PEOPLE}/rows", where=where), 403)
    assert api.query("SELECT count(*) FROM silver.people WHERE city = 'Bern'").json()["rows"] == [[0]]
    assert "@" not in api.get(f"{PEOPLE}/rows").text + api.query("SELECT * FROM silver.people").text


def test_the_right_to_personal_data_shows_them(api: Api) -> None:
    answer = api.get(f"{PEOPLE}/rows", key="steward", where="city:eq:Bern", columns="person_id,email")
    assert Counter(row["email"] for row in answer.json()["rows"]) == Counter(["ann@example.com", "dora@example.com"])
    assert api.query("SELECT count(*) FROM silver.people WHERE city = 'Bern'", key="steward").json()["rows"] == [[2]]
    record = api.get("/tables/bronze.people/rows", key="steward", where="_verdict:eq:quarantined").json()["rows"]
    assert record[0]["_original"] == "a,ann@example.com,,-1"


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_pages_hold_each_row_once_though_rows_are_appended(own_api: Api, size: int) -> None:
    pages = own_api.pages(f"{VISITS}/rows", limit=size)
    rows = next(pages)
    add_visits(own_api.root, 3, [("z", "/late", 1.0)])
    accept_visits(own_api.root, 3)
    DeltaTable(f"{own_api.root}/bronze/visits").optimize.compact()
    for page in pages:
        assert len(page) <= size
        rows += page
    assert Counter((row["person_id"], row["page"]) for row in rows) == Counter(
        {("a", "/"): 2, (None, "/about"): 1, ("b", "/"): 1}
    )
    now = [row for page in own_api.pages(f"{VISITS}/rows", limit=size) for row in page]
    assert len(now) == 6  # the batch that had not been accepted, and the new one


def test_a_table_as_of_a_version(own_api: Api) -> None:
    append(own_api.root, "silver.people", PERSON, [("e", None, None, 5, NEW)])
    assert len(own_api.get(f"{PEOPLE}/rows").json()["rows"]) == 5
    assert len(own_api.get(f"{PEOPLE}/rows", as_of=0).json()["rows"]) == 4
    assert "has no version 7" in sentence(own_api.get(f"{PEOPLE}/rows", as_of=7), 404)
    assert "as_of" in sentence(own_api.get(f"{PEOPLE}/rows", as_of=-1), 400)


def test_a_token_serves_the_request_that_it_came_with(api: Api) -> None:
    token = api.get(f"{VISITS}/rows", limit=1).json()["next"]
    assert "belongs to another request" in sentence(api.get(f"{VISITS}/rows", page=token, columns="page"), 400)
    assert "belongs to another request" in sentence(api.get(f"{PEOPLE}/rows", page=token), 400)
    assert "is none" in sentence(api.get(f"{VISITS}/rows", page="%%%"), 400)
    assert "does not reach" in sentence(api.get(f"{PEOPLE}/rows", page=token, key="dashboard"), 403)


@pytest.mark.parametrize(
    "name",
    [
        "..", "../../conf", "silver..people", "silver.people/../../secrets", "silver/people", "silver.people'",
        'silver.people"; DROP TABLE x', "Silver.People", "silver.people\x00", "_logs.x", "silver.ünï", "a" * 5000,
        "silver.people WHERE 1=1", "%2e%2e", "file:///etc.passwd",
    ],
)  # fmt: skip
def test_hostile_names_are_refused(api: Api, name: str) -> None:
    for key in ("analyst", "steward"):
        for path in (f"/tables/{quote(name, safe='')}", f"/tables/{quote(name, safe='')}/rows"):
            response = api.get(path, key=key)
            assert response.status_code in {403, 404, 307}, response.text
            assert "rows" not in response.json()
    assert api.get("/health").status_code == 200


@pytest.mark.parametrize("limit", ["0", "-1", "10001", "99999999999999999999", "1e3", "all", "NaN"])
def test_a_limit_out_of_bounds_is_refused(api: Api, limit: str) -> None:
    sentence(api.get(f"{PEOPLE}/rows", limit=limit), 400)


def test_queries_are_selects_within_limits(api: Api) -> None:
    answer = api.query("SELECT page, count(*) AS visits FROM silver.visits GROUP BY page ORDER BY page", limit=1).json()
    assert answer == {"columns": ["page", "visits"], "rows": [["/", 3]], "was_cut": True}
    assert "only a SELECT" in sentence(api.query("COPY silver.people TO '/tmp/x.csv'"), 400)
    assert "limit is 1 to 10,000" in sentence(api.query("SELECT 1", limit=10_001), 400)
    assert "sql" in sentence(api.query(""), 400)
    assert "bytes at most" in sentence(api.query("SELECT '" + "x" * 70_000 + "'"), 413)
    assert "Extra inputs" in sentence(api.query("SELECT 1", path="/etc/passwd"), 400)


@pytest.mark.slow
def test_a_query_that_takes_too_much_takes_only_itself_along(own_api: Api) -> None:
    object.__setattr__(own_api.service.queries, "seconds", 5)
    assert "longer than 5 seconds" in sentence(
        own_api.query("SELECT count(*) FROM generate_series(1, 1000000000000)"), 504
    )
    object.__setattr__(own_api.service.queries, "seconds", 60)
    assert "want of memory" in sentence(own_api.query("SELECT repeat('x', 2000000000)"), 400)
    assert own_api.query("SELECT 1 AS one").json()["rows"] == [[1]]


def test_a_key_that_asks_too_often_waits_and_others_do_not(own_api: Api) -> None:
    assert [own_api.get(VISITS, key="hasty").status_code for _ in range(4)] == [200, 200, 200, 429]
    assert "3 requests a minute" in sentence(own_api.get(VISITS, key="hasty"), 429)
    assert own_api.get(VISITS).status_code == 200
    wrong = [own_api.get(VISITS, key="wrong").status_code for _ in range(62)]
    assert (wrong[0], wrong[-1]) == (401, 429)


def test_every_access_is_in_the_audit_and_no_key_is(tmp_path: Path) -> None:
    with serving(tmp_path) as api:
        api.get("/tables")
        api.get(f"{PEOPLE}/rows", columns="age,city", limit=3)
        api.get(f"{PEOPLE}/rows", where="city:eq:Bern")
        api.get(PEOPLE, key="dashboard")
        api.get(PEOPLE, key="no-such-key")
        api.query("SELECT page FROM silver.visits")
        api.get("/health")
    entries = audit_entries(api.root)
    assert [(e["reader"], e["action"], e["tables"], e["columns"], e["rows"], e["status"]) for e in entries] == [
        ("analyst", "tables", [], [], 2, 200),
        ("analyst", "rows", ["silver.people"], ["age", "city"], 3, 200),
        ("analyst", "rows", ["silver.people"], ["person_id", "email", "city", "age", "at"], 0, 403),
        ("dashboard", "schema", ["silver.people"], [], 0, 403),
        (None, "schema", [], [], 0, 401),
        ("analyst", "query", ["silver.visits"], ["page"], 4, 200),
    ]
    assert all(entry["at"] > NEW for entry in entries)
    stored = b"".join(file.read_bytes() for file in Path(api.root, "ops").rglob("*") if file.is_file())
    assert not any(value.encode() in stored for value in [*SECRETS.values(), "no-such-key"])


def test_an_audit_that_cannot_be_written_shows_and_is_written_later(own_api: Api) -> None:
    ops = Path(own_api.root, "ops")
    ops.write_text("in the way")
    assert own_api.get("/tables").status_code == 200
    until = time.monotonic() + 20
    while own_api.get("/health").status_code != 503:
        assert time.monotonic() < until
        time.sleep(0.05)
    ops.unlink()
    while own_api.get("/health").status_code != 200:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert [entry["action"] for entry in audit_entries(own_api.root)] == ["tables"]
