"""The application in plain ASGI, asked without a server: what is refused, and what is not read for it."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakeloop.serving.access_spec import AccessSpec, Keys
from lakeloop.serving.models import asking as model_asking
from lakeloop.serving.models.api import build_app
from lakeloop.serving.models.asking import Asking
from lakeloop.serving.models.service import ModelService
from tests.model_lake import COLUMNS, switch

KEY = "shop-0123456789abcdef"
SPEC = AccessSpec.model_validate({"keys": {"shop": {"key": "${secret:shop}", "models": ["churn"]}}})


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelService]:
    root = str(tmp_path_factory.mktemp("models"))
    switch(root, 1, lead=0)
    service = ModelService.of(root, [])
    service.start()
    yield service
    service.stop()


@pytest.fixture
def app(service: ModelService) -> Asking:
    return build_app(service, None, 1_000_000)


def ask(
    app: Asking, *parts: bytes, path: str = "/models/churn/score", waits: bool = False, **headers: str
) -> tuple[int, dict[str, str], Any, int]:
    """Status, headers and body of an answer, and how many parts of the body were read."""
    given = {"content-type": "application/json", "content-length": str(sum(map(len, parts)))} | headers
    sent: list[dict[str, Any]] = []
    read = 0

    async def receive() -> dict[str, Any]:
        nonlocal read
        if read == len(parts):
            if waits:
                await asyncio.sleep(60)
            return {"type": "http.disconnect"}
        read += 1
        return {"type": "http.request", "body": parts[read - 1], "more_body": waits or read < len(parts)}

    async def send(message: Any) -> None:
        sent.append(message)

    named = [(name.encode(), value.encode()) for name, value in given.items() if value]
    scope = {"type": "http", "method": "POST", "path": path, "headers": named, "client": ("127.0.0.1", 5)}
    asyncio.run(app(scope, receive, send))
    said = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], said, json.loads(sent[1]["body"]), read


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*COLUMNS, "x"]), inner, max_size=4),
    max_leaves=12,
)
BODIES = VALUES | st.dictionaries(
    st.sampled_from(["row", "rows", "id", "ids", "key", "keys", "as_of"]), VALUES, max_size=3
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=BODIES)
def test_no_json_value_is_a_defect(app: Asking, body: Any) -> None:
    status, _, said, _ = ask(app, json.dumps(body).encode("utf-8", "surrogatepass"))
    assert status == 200 or 400 <= status < 500 or (status == 503 and "gold.customers" in said["error"])
    if status != 200:
        assert list(said) == ["error"]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=200))
def test_no_bytes_are_a_defect(app: Asking, body: bytes) -> None:
    assert ask(app, body)[0] == 400


def test_a_body_in_parts_is_put_together(app: Asking) -> None:
    whole = json.dumps({"row": {"age": 5}}).encode()
    assert ask(app, whole[:3], whole[3:])[0] == 200
    assert ask(app, whole[:3], whole[3:], **{"content-length": "", "transfer-encoding": "chunked"})[0] == 200


def test_a_body_that_does_not_come_is_not_waited_for(app: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_asking, "BODY_SECONDS", 0.05)
    status, _, said, _ = ask(app, b"{", waits=True)
    assert (status, said["error"]) == (408, "the body did not come within 0.05 seconds")


def test_refusals_read_no_body_and_close_where_much_is_left(service: ModelService) -> None:
    app = build_app(service, Keys(SPEC.keys, {"shop": KEY}), 1)
    body = json.dumps({"row": {"age": 5}}).encode()
    status, headers, said, read = ask(app, body)
    assert (status, headers["www-authenticate"], read) == (401, "Bearer", 0)
    assert "this request has none" in said["error"]
    assert ask(app, body, **{"x-api-key": KEY})[0] == 200
    assert ask(app, body, authorization=f"Bearer {KEY}")[0] == 200
    status, headers, _, read = ask(app, body, **{"x-api-key": KEY, "content-length": "100000"})
    assert (status, read) == (200, 1)
    for large in ({"content-length": "100000"}, {"content-length": "", "transfer-encoding": "chunked"}):
        status, headers, _, read = ask(app, body, **{"x-api-key": "wrong", **large})
        assert (status, headers["connection"], read) == (401, "close", 0)


def test_the_rate_is_kept_before_anything_else(service: ModelService) -> None:
    app = build_app(service, None, 2)
    body = json.dumps({"row": {"age": 5}}).encode()
    assert [ask(app, body)[0] for _ in range(3)] == [200, 200, 429]
    status, headers, said, read = ask(app, b"x", path="/models/nobody/score")
    assert (status, read) == (429, 0)
    assert 1 <= int(headers["retry-after"]) <= 30
    assert "2 requests a minute are answered" in said["error"]
    assert ask(app, path="/healthz")[0] == 405  # without a rate, and only for GET


def test_one_caller_does_not_take_all_places(app: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_asking, "MOST_OF_A_CALLER", 0)
    status, headers, said, read = ask(app, b"{}")
    assert (status, headers["retry-after"], read) == (429, "1", 0)
    assert "of a caller" in said["error"]


def test_a_defect_is_told_by_a_reference(app: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("secret words")

    monkeypatch.setattr(ModelService, "one", broken)
    status, _, said, _ = ask(app, b'{"row": {"age": 5}}')
    assert status == 500
    assert "secret words" not in str(said)
    assert "its log has the reference" in said["error"]


def test_a_log_that_is_full_answers_nothing(
    app: Asking, service: ModelService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.writer, "_most", 0)
    status, headers, said, _ = ask(app, b'{"row": {"age": 5}}')
    assert (status, headers["retry-after"]) == (503, "1")
    assert "predictions cannot be recorded" in said["error"]


def test_roles_by_path_are_only_those_two(app: Asking, tmp_path: Path) -> None:
    for path in ("/models/churn/scores", "/models/churn/score/x", "/models//score", "/models/../score"):
        assert ask(app, b"{}", path=path)[0] in (404, 405), path
