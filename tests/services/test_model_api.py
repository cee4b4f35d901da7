"""The models API as callers meet it: a process of its own, releases and tables of a small lake."""

import datetime as dt
import http.client
import json
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from lakeloop.lake.predictions import predictions
from tests.model_lake import CUSTOMERS, Served, serving, share, switch, write_conf, write_customers

KEYS = """
keys:
  shop: {key: "${secret:shop}", models: [churn]}
  hasty: {key: "${secret:hasty}", models: ["*"], requests_per_minute: 3}
  reader: {key: "${secret:reader}", tables: [gold.*]}
"""
SECRETS = {name: f"{name}-0123456789abcdef" for name in ("shop", "hasty", "reader")}
CUSTOMER = {"id": "c1", "age": 5.0, "plan": "a", "visits": 3, "member": True, "since": dt.date(2025, 1, 31)}
ANN = {"row": {"age": 5, "plan": "a"}, "key": "ann"}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """For tests that change nothing."""
    folder = tmp_path_factory.mktemp("models")
    root = write_conf(folder)
    write_customers(
        root, [CUSTOMER, {**CUSTOMER, "id": "c2", "age": None, "plan": "b"}, {**CUSTOMER, "id": "twice"}] * 1
    )
    write_customers(root, [{**CUSTOMER, "id": "twice"}], "append")
    switch(root, 1, lead=0)
    with serving(folder) as served:
        yield served


def sentence(response: requests.Response, status: int) -> str:
    assert response.status_code == status, response.text
    said: str = response.json()["error"]
    assert list(response.json()) == ["error"]
    assert "Traceback" not in said
    return said


def rows_of(root: str, wanted: int, seconds: float = 10.0) -> list[dict[str, Any]]:
    """The log, as soon as it has so many rows."""
    for _ in range(int(seconds * 10)):
        found = predictions(root).to_pylist()
        if len(found) >= wanted:
            break
        time.sleep(0.1)
    assert len(found) == wanted
    return found


def test_one_row_many_rows_and_rows_by_id_have_the_same_answer(api: Served) -> None:
    one = api.score(ANN).json()
    assert (one["prediction"], one["probability"]) == (1.0, pytest.approx(share(0.5), abs=1e-12))
    assert (one["model"], one["version"], one["role"]) == ("churn", 1, "champion")
    assert abs(dt.datetime.fromisoformat(one["at"]).timestamp() - time.time()) < 60
    many = api.score({"rows": [ANN["row"], {"plan": "b"}], "keys": ["ann", None]}).json()
    assert [row["probability"] for row in many["predictions"]] == [
        pytest.approx(share(0.5), abs=1e-12), pytest.approx(share(-0.45), abs=1e-12),
    ]  # fmt: skip
    assert api.score({"id": "c1"}).json()["probability"] == one["probability"]
    ids = api.score({"ids": ["c2", "c1", "c2"]}).json()
    assert [row["probability"] for row in ids["predictions"]] == [
        pytest.approx(share(margin), abs=1e-12) for margin in (-0.45, 0.5, -0.45)
    ]
    large = api.score({"rows": [ANN["row"]] * 1000}).json()["predictions"]
    assert [row["probability"] for row in large] == [pytest.approx(one["probability"], abs=1e-12)] * 1000
    assert len({row["request_id"] for row in large}) == 1000


def test_reasons_add_up(api: Served) -> None:
    told = requests.post(f"{api.url}/churn/explain", json=ANN, timeout=30).json()
    assert told["score"] == pytest.approx(share(0.5), abs=1e-12)
    added = sum(reason["contribution"] for reason in told["reasons"])
    assert added == pytest.approx(told["score"] - told["mean_score"], abs=1e-9)
    assert [reason["field"] for reason in told["reasons"]][:2] == ["age", "plan"]
    assert "found rows" in sentence(requests.post(f"{api.url}/churn/explain", json={"rows": [{}]}, timeout=30), 400)


def test_models_are_told_with_their_fields_and_who_put_them_there(api: Served) -> None:
    listed = requests.get(api.url, timeout=30).json()["models"]
    assert [model["name"] for model in listed] == ["churn"]
    one = requests.get(f"{api.url}/churn", timeout=30).json()
    assert one == listed[0]
    assert (one["fields"]["visits"], one["table"], one["id"], one["problems"]) == ("int", CUSTOMERS, "id", [])
    holder = one["roles"]["champion"]
    assert (holder["version"], holder["who"], holder["why"]) == (1, "ann", "a test")
    assert "there is no model 'x'; there is: churn" in sentence(requests.get(f"{api.url}/x", timeout=30), 404)


BAD: list[tuple[Any, int, str]] = [
    ({"row": {"agee": 5}}, 400, "'agee'; did you mean 'age'"),
    ({"row": {"age": "old"}}, 400, "field 'age': found 'old', a number is wanted"),
    ({"row": {"age": {"years": 5}}}, 400, "field 'age': found an object"),
    ({"row": {"visits": 2**40}}, 400, "field 'visits'"),
    ({"row": {"plan": "x" * 100_000}}, 400, "field 'plan': found a text of 100,000"),
    ({"row": {"since": "soon"}}, 400, "field 'since'"),
    ({"row": {}}, 400, "it takes age, plan, visits, member, since"),
    ({"rows": [{"age": 1}, {"age": []}]}, 400, "row 2, field 'age'"),
    ({"rows": [{"age": 1}] * 10_001}, 400, "a list of 10,001; it is a list of 1 to 10,000"),
    ({"id": "nobody"}, 404, "no row with id 'nobody'"),
    ({"id": "twice"}, 409, "several rows with id 'twice'"),
    ({"id": ["c1"]}, 400, "field 'id'"),
    ({"id": "c1", "as_of": "2001-01-01"}, 400, "field 'as_of'"),
    ({"id": "c1", "as_of": 5}, 400, "field 'as_of'"),
    ({}, 400, "one of the fields row, id, rows, ids"),
    (b'{"row": {"age": NaN}}', 400, "NaN and Infinity are none"),
    (b'{"row": {"age": 1e999}}', 400, "field 'age'"),
    (b'{"row": {"plan": "\\ud800"}}', 400, "not valid JSON"),
    (b'{"row": ' + b'{"age":' * 100_000, 400, "recursion limit"),
    (b"\x00\xff", 400, "not valid JSON"),
    (b"", 400, "not valid JSON"),
    (b'{"row": {"plan": "' + b"x" * (5 << 20) + b'"}}', 413, "4,194,304 bytes at most"),
]


@pytest.mark.parametrize(("body", "status", "said"), BAD)
def test_bad_bodies_are_refused_by_name(api: Served, body: Any, status: int, said: str) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = requests.post(
        f"{api.url}/churn/score", data=data, headers={"Content-Type": "application/json"}, timeout=30
    )
    assert said in sentence(response, status)
    assert len(response.text) < 1000


def test_bad_requests_are_refused(api: Served) -> None:
    for name in ("nobody", "../ops", "..%2f..%2fetc", "churn%00", "x" * 3000):
        url = f"{api.url}/{name}/score"
        status = requests.post(url, json=ANN, timeout=30).status_code
        assert status == 404, name
    assert "Content-Type" in sentence(requests.post(f"{api.url}/churn/score", data=b"{}", timeout=30), 415)
    assert "send POST" in sentence(requests.get(f"{api.url}/churn/score", timeout=30), 405)
    assert requests.delete(f"{api.url}/churn", timeout=30).status_code == 405

    def chunks() -> Iterator[bytes]:
        yield b'{"row": {"age": 5,'
        yield b' "plan": "a"}}'

    headers = {"Content-Type": "application/json"}
    assert requests.post(f"{api.url}/churn/score", data=chunks(), headers=headers, timeout=30).status_code == 200
    endless = (b"x" * 65_536 for _ in range(100))
    with suppress(requests.ConnectionError):  # the rest of a body that is too large is not read
        assert requests.post(f"{api.url}/churn/score", data=endless, headers=headers, timeout=30).status_code == 413


def raw(api: Served, text: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", int(api.url.split(":")[2].split("/")[0])), timeout=30) as line:
        line.sendall(text)
        line.shutdown(socket.SHUT_WR)
        said = b""
        while part := line.recv(65_536):
            said += part
        return said


def test_bodies_that_are_cut_or_have_no_length_are_refused(api: Served) -> None:
    head = b"POST /models/churn/score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    assert raw(api, head + b"\r\n").startswith(b"HTTP/1.1 411 ")
    assert raw(api, head + b"Content-Length: 100\r\n\r\n{").split(b" ")[1:2] in ([b"400"], [])
    assert raw(api, head + b"Content-Length: -5\r\n\r\n{}").startswith(b"HTTP/1.1 400 ")
    assert raw(api, head + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}").startswith(b"HTTP/1.1 415 ")
    assert api.score(ANN).status_code == 200


def test_features_are_those_of_now_or_of_then(tmp_path: Path) -> None:
    root = write_conf(tmp_path)
    write_customers(root, [CUSTOMER])
    switch(root, 1, lead=0)
    with serving(tmp_path) as api:
        assert api.score({"id": "c1"}).json()["probability"] == pytest.approx(share(0.5), abs=1e-12)
        then = dt.datetime.now(dt.UTC)
        time.sleep(0.05)
        write_customers(root, [{**CUSTOMER, "plan": "b"}])
        time.sleep(1.1)
        assert api.score({"id": "c1"}).json()["probability"] == pytest.approx(share(-0.25), abs=1e-12)
        before = api.score({"id": "c1", "as_of": then.isoformat()}).json()
        assert before["probability"] == pytest.approx(share(0.5), abs=1e-12)
        logged = rows_of(root, 3)
    assert {row["key"] for row in logged} == {"c1"}
    assert Counter(json.loads(row["features"])["plan"] for row in logged) == {"a": 2, "b": 1}


def test_canaries_have_their_share_and_challengers_answer_nobody(tmp_path: Path) -> None:
    root = write_conf(tmp_path)
    switch(root, 1, lead=0)
    switch(root, 2, role="canary", percent=30.0, shift=0.5, lead=0)
    switch(root, 3, role="challenger", shift=1.0, lead=0)
    with serving(tmp_path) as api:
        first = {f"k{at}": api.score({**ANN, "key": f"k{at}"}).json()["version"] for at in range(200)}
        again = {key: api.score({**ANN, "key": key}).json()["version"] for key in first}
        many = api.score({"rows": [ANN["row"]] * 200, "keys": list(first)}).json()["predictions"]
        assert first == again == dict(zip(first, (row["version"] for row in many), strict=True))
        assert Counter(first.values()).keys() == {1, 2}
        assert 30 < Counter(first.values())[2] < 90
        logged = rows_of(root, 1200)
    assert Counter(row["role"] for row in logged)["challenger"] == 600
    assert {row["version"] for row in logged if row["role"] == "challenger"} == {3}
    assert all(row["version"] == first[row["key"]] for row in logged if row["role"] != "challenger")
    answered = {row["request_id"] for row in logged if row["role"] != "challenger"}
    assert answered == {row["request_id"] for row in logged if row["role"] == "challenger"}


class Load(threading.Thread):
    """Asks again and again over one connection; keeps every answer, and every failure."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.host, self.answers, self.failures, self.ended = url.split("/")[2], [], [], False  # type: ignore[var-annotated]

    def run(self) -> None:
        body, headers = json.dumps(ANN), {"Content-Type": "application/json"}
        line = http.client.HTTPConnection(self.host, timeout=10)
        while not self.ended:
            try:
                line.request("POST", "/models/churn/score", body, headers)
                response = line.getresponse()
                read = response.read()
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(str(error))
                return
            if response.status == 200:
                self.answers.append(json.loads(read))
            else:
                self.failures.append(f"{response.status} {read!r}")


def test_a_swap_under_load_fails_no_request_and_keeps_to_its_moment(tmp_path: Path) -> None:
    root = write_conf(tmp_path)
    switch(root, 1, lead=0)
    with serving(tmp_path, "--workers", "2") as api:
        loads = [Load(api.url) for _ in range(4)]
        for load in loads:
            load.start()
        moments = [switch(root, 2, shift=0.5), switch(root, 1, action="rolled_back"), switch(root, 2, shift=0.5)]
        time.sleep(3.0)
        for load in loads:
            load.ended = True
        for load in loads:
            load.join()
    assert [failure for load in loads for failure in load.failures] == []
    answers = [answer for load in loads for answer in load.answers]
    expected = [(0.0, 1), *((moment.effective_at.timestamp(), moment.version) for moment in moments)]
    for answer in answers:
        at = dt.datetime.fromisoformat(answer["at"]).timestamp()
        assert answer["version"] == [version for since, version in expected if since <= at][-1]
    assert {answer["version"] for answer in answers} == {1, 2}


def test_what_was_answered_before_sigterm_is_in_the_log(tmp_path: Path) -> None:
    root = write_conf(tmp_path)
    switch(root, 1, lead=0)
    with serving(tmp_path) as api:
        loads = [Load(api.url) for _ in range(4)]
        for load in loads:
            load.start()
        time.sleep(1.5)
        api.process.send_signal(signal.SIGTERM)
        for load in loads:
            load.join()
        assert api.process.wait(timeout=30) in (0, -signal.SIGTERM)
    answered = {answer["request_id"] for load in loads for answer in load.answers}
    logged = predictions(root)["request_id"].to_pylist()
    assert len(answered) > 100
    assert len(logged) == len(set(logged))
    assert answered <= set(logged)
    assert len(logged) <= len(answered) + len(loads)  # an answer may have been lost on its way


def test_a_process_that_drains_says_so_and_still_answers(tmp_path: Path) -> None:
    root = write_conf(tmp_path)
    switch(root, 1, lead=0)
    with serving(tmp_path, "--drain-seconds", "5") as api:
        api.process.send_signal(signal.SIGTERM)
        for _ in range(40):
            ready = requests.get(api.url.replace("/models", "/readyz"), timeout=30)
            if ready.status_code == 503:
                break
            time.sleep(0.1)
        assert ready.json() == {"status": "not ready", "because": ["the process was told to end"]}
        assert api.score(ANN).status_code == 200
        assert api.process.wait(timeout=30) in (0, -signal.SIGTERM)
    assert predictions(root).num_rows == 1


def test_who_may_ask_which_models_and_how_often(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    for name, value in SECRETS.items():
        (tmp_path / "secrets" / name).write_text(value)
    root = write_conf(tmp_path, KEYS)
    switch(root, 1, lead=0)
    switch(root, 1, model="prices", lead=0)
    with serving(tmp_path, "--host", "0.0.0.0") as served:
        api = Served(served.process, served.url.replace("0.0.0.0", "127.0.0.1"))

        def ask(name: str, model: str = "churn", **more: Any) -> requests.Response:
            return api.score(ANN, model, headers={"X-API-Key": SECRETS.get(name, name)}, **more)

        assert "this request has none" in sentence(api.score(ANN), 401)
        assert "one that is not known" in sentence(ask("nobody-0123456789"), 401)
        assert ask("shop").status_code == 200
        bearer = {"Authorization": f"Bearer {SECRETS['shop']}"}
        assert api.score(ANN, headers=bearer).status_code == 200
        assert "there is: churn" in sentence(ask("shop", "prices"), 404)
        assert "none at present" in sentence(ask("reader"), 404)
        assert [model["name"] for model in requests.get(api.url, headers=bearer, timeout=30).json()["models"]] == [
            "churn"
        ]
        assert [ask("hasty", "prices").status_code for _ in range(3)] == [200] * 3
        refused = ask("hasty")
        assert "3 requests a minute" in sentence(refused, 429)
        assert 1 <= int(refused.headers["Retry-After"]) <= 20
        assert ask("shop").status_code == 200
        assert requests.get(api.url.replace("/models", "/healthz"), timeout=30).status_code == 200
    assert Counter(predictions(root)["caller"].to_pylist()) == {"shop": 3, "hasty": 3}


def test_without_keys_no_other_machine_is_served(tmp_path: Path) -> None:
    write_conf(tmp_path)
    with pytest.raises(AssertionError), serving(tmp_path, "--host", "0.0.0.0"):
        pass


def test_workers_end_with_their_parent_and_are_started_again(tmp_path: Path) -> None:
    root = write_conf(tmp_path)
    switch(root, 1, lead=0)
    with serving(tmp_path, "--workers", "2") as api:
        parent = psutil.Process(api.process.pid)
        workers = parent.children()
        assert len(workers) == 2
        workers[0].kill()
        for _ in range(100):
            if len([child for child in parent.children() if child not in workers]) == 1:
                break
            time.sleep(0.1)
        workers = [child for child in parent.children() if child.status() != psutil.STATUS_ZOMBIE]
        assert len(workers) == 2
        assert api.score(ANN).status_code == 200
        api.process.kill()
        gone, alive = psutil.wait_procs(workers, timeout=20)
        assert (len(gone), alive) == (2, [])
    assert len(rows_of(root, 1)) == 1


def test_a_broken_release_is_told_and_the_last_good_one_answers(tmp_path: Path) -> None:
    root = write_conf(tmp_path)
    switch(root, 1, lead=0)
    with serving(tmp_path) as api:
        switch(root, 2, release="_releases/churn/0123456789abcdef")
        time.sleep(3.0)
        answer = api.score(ANN)
        assert (answer.status_code, answer.json()["version"]) == (200, 1)
        assert (
            "version 2 does not answer as champion"
            in requests.get(f"{api.url}/churn", timeout=30).json()["problems"][0]
        )
        health = api.url.removesuffix("/models")
        assert requests.get(f"{health}/readyz", timeout=30).status_code == 503
        assert "lakeloop_model_problems" in requests.get(f"{health}/metrics", timeout=30).text
