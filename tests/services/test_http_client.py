"""Asking a real server on loopback: credentials, bad moments, bounds, and where requests may go. No JVM."""

import base64
import datetime as dt
import gzip
import ipaddress
import json
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from lakeloop.core.connections import RestConnection
from lakeloop.core.run_record import now
from lakeloop.ingestion.http.answers import Failure
from lakeloop.ingestion.http.answers import Reply as Answered
from lakeloop.ingestion.http.client import Client
from lakeloop.ingestion.http.guard import Guard, kind_of
from lakeloop.ingestion.http.service import MASK, Service
from tests.loopback_api import Asked, LoopbackApi, Reply

SECRET = "s3cret+/=&x"  # as keys are: it needs encoding
OK = Reply(body=b'{"a": 1}')
BEARER = {"bearer": "${secret:t}"}


def connection(url: str, **changes: Any) -> RestConnection:
    settings = {"base_url": url, "auth": BEARER, "retries": 2, "backoff_seconds": 0}
    return RestConnection.model_validate(settings | changes)


def get(
    api: LoopbackApi | str, path: str = "/u", *, most_bytes: int = 10_000, redirects: int = 5, **changes: Any
) -> Answered | Failure:
    url = api if isinstance(api, str) else api.url
    with Client(Service("api", connection(url, **changes), SECRET)) as client:
        return client.get(client.address(path), most_bytes=most_bytes, redirects=redirects)


def in_turn(*replies: Reply) -> Callable[[Asked], Reply]:
    """Each reply once, the last one again and again."""
    left = list(replies)
    return lambda asked: left.pop(0) if len(left) > 1 else left[0]


def failure(found: Answered | Failure) -> Failure:
    assert isinstance(found, Failure), found
    assert SECRET not in str(found)
    return found


@pytest.mark.parametrize(
    ("auth", "headers", "query"),
    [
        (BEARER, {"Authorization": f"Bearer {SECRET}"}, {}),
        ({"api_key": {"key": "${secret:t}", "header": "X-Api-Key"}}, {"X-Api-Key": SECRET}, {}),
        ({"api_key": {"key": "${secret:t}", "query": "key"}}, {"Authorization": None}, {"key": SECRET}),
        (
            {"basic": {"user": "ann", "password": "${secret:t}"}},
            {"Authorization": "Basic " + base64.b64encode(f"ann:{SECRET}".encode()).decode()},
            {},
        ),
        ("none", {"Authorization": None, "Cookie": None}, {}),
    ],
)
def test_each_way_of_signing_says_who_asks(auth: Any, headers: dict[str, str | None], query: dict[str, str]) -> None:
    with LoopbackApi(lambda asked: OK) as api:
        found = get(api, auth=auth)
        assert isinstance(found, Answered)
        assert found.body == OK.body
        assert SECRET not in found.url
        assert "key=" not in found.url
        [asked] = api.requests
        assert {name: asked.headers.get(name) for name in headers} == headers
        assert asked.query == query


class Issuer:
    """A token server and the API that takes its tokens; each token is good for `uses` requests."""

    def __init__(self, uses: int = 10**9, lasts: Any = 3600, refuses: Reply | None = None) -> None:
        self.uses, self.lasts, self.refuses = uses, lasts, refuses
        self.issued: list[str] = []
        self.left = 0
        self.forms: list[tuple[str, str | None]] = []

    def __call__(self, asked: Asked) -> Reply:
        if asked.path == "/token":
            self.forms.append((asked.body.decode(), asked.headers.get("Authorization")))
            if self.refuses is not None:
                return self.refuses
            self.issued.append(f"token-{len(self.issued)}")
            self.left = self.uses
            return Reply(body=json.dumps({"access_token": self.issued[-1], "expires_in": self.lasts}).encode())
        if not self.left or asked.headers.get("Authorization") != f"Bearer {self.issued[-1]}":
            return Reply(401)
        self.left -= 1
        return OK


def oauth2(api: LoopbackApi, times: int, **changes: Any) -> list[Answered | Failure]:
    declared = {"token_url": f"{api.url}/token", "client_id": "me", "client_secret": "${secret:t}"} | changes
    with Client(Service("api", connection(api.url, auth={"oauth2": declared}), SECRET)) as client:
        return [client.get(client.address("/u"), most_bytes=100) for _ in range(times)]


def test_a_token_is_fetched_once_and_again_when_it_ends() -> None:
    issuer = Issuer()
    with LoopbackApi(issuer) as api:
        assert all(isinstance(found, Answered) for found in oauth2(api, 3, scope="read"))
    assert len(issuer.issued) == 1
    form, authorization = issuer.forms[0]
    assert form == "grant_type=client_credentials&scope=read"
    assert authorization == "Basic " + base64.b64encode(f"me:{SECRET}".encode()).decode()
    ended = Issuer(lasts=0)
    with LoopbackApi(ended) as api:
        assert all(isinstance(found, Answered) for found in oauth2(api, 3, send="body"))
    assert len(ended.issued) == 3
    assert "client_id=me&client_secret=s3cret%2B%2F%3D%26x" in ended.forms[0][0]


def test_a_token_that_expires_midway_fails_nothing() -> None:
    issuer = Issuer(uses=2)
    with LoopbackApi(issuer) as api:
        assert all(isinstance(found, Answered) for found in oauth2(api, 5))
    assert len(issuer.issued) == 3


@pytest.mark.parametrize(
    ("refuses", "said"),
    [
        (Reply(401, b'{"error": "invalid_client"}'), "refused client_id or client_secret (status 401); renew"),
        (Reply(200, b"<html>"), "the token_url gave no access_token"),
        (Reply(200, b'{"access_token": "a\\nb"}'), "the token_url gave no access_token"),
        (Reply(503), "the token_url gave no token: status 503"),
        (Reply(302, headers={"Location": "http://10.0.0.1/"}), "a redirect, which is not followed"),
    ],
)
def test_a_token_that_cannot_be_had_is_a_failure_for_all(refuses: Reply, said: str) -> None:
    with LoopbackApi(Issuer(refuses=refuses)) as api:
        [found] = oauth2(api, 1)
    assert failure(found).for_all
    assert said in failure(found).reason


def test_a_second_401_is_the_end() -> None:
    with LoopbackApi(Issuer(uses=0)) as api:
        [found] = oauth2(api, 1)
    assert failure(found).reason == "the credentials were refused (status 401); renew the secret"
    with LoopbackApi(lambda asked: Reply(401)) as api:
        assert failure(get(api)).why == "refused"
        assert len(api.requests) == 1


@pytest.mark.parametrize(
    "moment",
    [
        Reply(503),
        Reply(429, headers={"Retry-After": "0"}),
        Reply(500),
        Reply(body=b'{"a": 1}', headers={"Content-Length": "100"}),
        Reply(body=b'{"a": 1', headers={"Content-Length": ""}),
        Reply(body=b"not gzip", headers={"Content-Encoding": "gzip"}),
    ],
    ids=["busy", "limited", "broken", "cut", "cut without a length", "unpackable"],
)
def test_a_bad_moment_is_tried_again(moment: Reply) -> None:
    with LoopbackApi(in_turn(moment, moment, OK)) as api:
        assert isinstance(get(api), Answered)
        assert len(api.requests) == 3
    with LoopbackApi(in_turn(moment, moment, moment, OK)) as api:
        assert failure(get(api)).is_retried
        assert len(api.requests) == 3


def test_a_retry_after_beyond_the_longest_wait_ends_the_asking() -> None:
    long = Reply(429, headers={"Retry-After": "7200"})
    with LoopbackApi(in_turn(long, OK)) as api:
        found = failure(get(api))
        assert found.reason == "status 429, it asks to be left alone for 2 h, and longest_wait of the connection is 1 m"
        assert len(api.requests) == 1
    theirs = now() - dt.timedelta(days=400)  # a clock that is more than a year behind
    said, then = format_datetime(theirs, usegmt=True), format_datetime(theirs + dt.timedelta(hours=1), usegmt=True)
    with LoopbackApi(in_turn(Reply(503, headers={"Retry-After": then, "Date": said}), OK)) as api:
        assert "left alone for 1 h" in failure(get(api)).reason
    with LoopbackApi(in_turn(Reply(503, headers={"Retry-After": said, "Date": said}), OK)) as api:
        assert isinstance(get(api), Answered)


def test_an_answer_is_bounded_packed_or_not() -> None:
    bomb = gzip.compress(b" " * 20_000_000)  # 20 kB that become 20 MB
    for reply in (Reply(body=b" " * 10_001), Reply(body=bomb, headers={"Content-Encoding": "gzip"})):
        with LoopbackApi(in_turn(reply)) as api:
            found = failure(get(api))
            assert (found.why, found.reason) == ("large", "an answer of more than 10,000 bytes")
            assert len(api.requests) == 1
    with LoopbackApi(in_turn(Reply(body=gzip.compress(b" " * 10_000), headers={"Content-Encoding": "gzip"}))) as api:
        assert isinstance(get(api), Answered)


@pytest.mark.parametrize(
    ("reply", "settings"),
    [
        (Reply(body=b"{}", pauses=(1.0,)), {"read_timeout_seconds": 0.1}),
        (Reply(body=b"x" * 20, pauses=(0.1,) * 20), {"answer_timeout_seconds": 0.3}),
    ],
    ids=["nothing", "drops"],
)
def test_a_slow_answer_is_not_waited_for(reply: Reply, settings: dict[str, float]) -> None:
    with LoopbackApi(in_turn(reply)) as api:
        assert failure(get(api, retries=0, **settings)).why == "down"


def test_nobody_listens() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    assert failure(get(url)).reason == "no answer (ConnectionError)"


def test_a_redirect_is_followed_within_its_origin_only() -> None:
    def moved(asked: Asked) -> Reply:
        return OK if asked.path == "/there" else Reply(302, headers={"Location": "/there?x=1"})

    with LoopbackApi(moved) as api, LoopbackApi(lambda asked: OK) as other:
        found = get(api)
        assert isinstance(found, Answered)
        assert found.url == f"{api.url}/there?x=1"
        assert all(asked.headers["Authorization"] for asked in api.requests)
        assert "a redirect, which is not followed" in failure(get(api, redirects=0)).reason

        def away(asked: Asked) -> Reply:
            return Reply(307, headers={"Location": f"{other.url}/x"})

        with LoopbackApi(away) as leading:
            assert f"leads to 127.0.0.1:{other.port}, another origin" in failure(get(leading)).reason
            assert other.requests == []
            assert isinstance(get(leading, allow_hosts=[f"127.0.0.1:{other.port}"]), Answered)
            assert "Authorization" not in other.requests[0].headers
    with LoopbackApi(lambda asked: Reply(302, headers={"Location": "/u"})) as api:
        assert failure(get(api)).reason == "more than 5 redirects; check the path"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("https://127.0.0.1/x", "from http to https"),
        ("file:///etc/passwd", "from http to file"),
        ("//169.254.169.254/latest", "169.254.169.254:80, another origin"),
        ("http://user@127.0.0.1:{port}/x", "with a user in it"),
        ("http://127.0.0.1:{port}@10.0.0.1/", "with a user in it"),
        ("http://127.0.0.1:1/", "127.0.0.1:1, another origin"),
        ("http://localhost:{port}/", "localhost:{port}, another origin"),
        ("http://127.0.0.1.:{port}/", "127.0.0.1.:{port}, another origin"),
    ],
)
def test_where_a_redirect_may_not_lead(target: str, said: str) -> None:
    with LoopbackApi(lambda asked: Reply(302, headers={"Location": target.format(port=api.port)})) as api:
        assert said.format(port=api.port) in failure(get(api)).reason
        assert len(api.requests) == 1


def test_an_allowed_host_may_not_be_where_only_this_machine_reaches(monkeypatch: pytest.MonkeyPatch) -> None:
    with LoopbackApi(lambda asked: Reply(302, headers={"Location": "http://files.test/x"})) as api:
        resolve(monkeypatch, {"files.test": ["10.0.0.7"]})
        found = failure(get(api, allow_hosts=["files.test"]))
        assert (
            found.reason == "files.test is at 10.0.0.7, a private address, which the base_url is not; it was not asked"
        )


def test_a_name_that_leads_elsewhere_the_second_time_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with LoopbackApi(lambda asked: OK) as api:
        answers = [["93.184.215.14"], ["127.0.0.1"]]
        resolve(monkeypatch, {"api.test": answers})
        found = failure(get(f"http://api.test:{api.port}", retries=0))
        assert found.reason.startswith("api.test is at 127.0.0.1, a loopback address")
        assert api.requests == []
        resolve(monkeypatch, {"api.test": [["127.0.0.1"]]})  # a name of an own network is where it always was
        assert isinstance(get(f"http://api.test:{api.port}"), Answered)


def resolve(monkeypatch: pytest.MonkeyPatch, names: dict[str, Any]) -> None:
    """Let names have addresses, one list after the other where there are several, as their name server says."""
    usual = socket.getaddrinfo

    def answer(host: str, port: Any, *rest: Any, **more: Any) -> Any:
        if host not in names:
            return usual(host, port, *rest, **more)
        known = names[host]
        if isinstance(known[0], list):
            known = known.pop(0) if len(known) > 1 else known[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in known]

    monkeypatch.setattr(socket, "getaddrinfo", answer)


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("93.184.215.14", "public"), ("127.8.0.1", "loopback"), ("0.0.0.0", "loopback"), ("10.1.2.3", "private"),
        ("172.16.0.1", "private"), ("192.168.1.1", "private"), ("100.64.0.1", "private"),
        ("169.254.169.254", "link-local"),
        ("224.0.0.1", "multicast"), ("::1", "loopback"), ("::ffff:127.0.0.1", "loopback"), ("fe80::1", "link-local"),
        ("fd00::1", "private"), ("2606:4700::1111", "public"), ("2002:7f00:1::", "loopback"),
    ],
)  # fmt: skip
def test_kinds_of_addresses(address: str, kind: str) -> None:
    assert kind_of(ipaddress.ip_address(address)) == kind


@given(st.text(alphabet="htps:/@\\#?.%[]0127a b", max_size=40), st.sampled_from(["", "http://api.test", "//api.test"]))
def test_no_link_leads_to_another_host(link: str, before: str) -> None:
    guard = Guard(("http", "api.test", 80), frozenset(), frozenset({"public"}))
    if guard.refusal(before + link) is None:
        assert guard.is_home(before + link)
        with suppress(requests.RequestException):
            sent = requests.Request("GET", before + link).prepare()
            scheme, host = urlsplit(str(sent.url)).scheme, urlsplit(str(sent.url)).hostname or ""
            assert (scheme, host.removesuffix(".")) == ("http", "api.test")  # with a dot the name is no other one


def certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's context with a certificate that it has signed itself, and the file of that."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now() - dt.timedelta(days=1))
        .not_valid_after(now() + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "certificate.pem"
    pem.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    private = serialization.PrivateFormat.PKCS8
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, private, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, folder / "key.pem")
    return context, pem


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(tmp_path: Path) -> None:
    context, pem = certificate(tmp_path)
    with LoopbackApi(lambda asked: OK, context) as api:
        found = failure(get(api))
        assert found.reason.startswith("its certificate is not trusted, or TLS failed; mend it there, or name")
        assert api.requests == []
        assert isinstance(get(api, ca_file=str(pem)), Answered)


def test_requests_are_spaced_by_the_share_of_the_rate_limit() -> None:
    with LoopbackApi(lambda asked: OK) as api:
        declared, started = connection(api.url, rate_limit="20/s"), time.monotonic()
        with Client(Service("api", declared, SECRET), share=0.5) as client:
            for _ in range(4):
                client.get(client.address("/u"), most_bytes=100)
    assert time.monotonic() - started >= 0.3  # three spaces of a tenth of a second, however slow the machine


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_a_secret_is_masked_in_every_form(secret: str) -> None:
    service = Service("api", connection("http://h", auth={"api_key": {"key": "${secret:t}", "query": "key"}}), secret)
    for form in (secret, quote(secret, safe=""), quote_plus(secret)):
        assert form not in service.masked(f"see http://h/u?key={form} now").replace(MASK, "\0")


def test_a_key_leaves_links_and_records() -> None:
    service = Service("api", connection("http://h", auth={"api_key": {"key": "${secret:t}", "query": "key"}}), SECRET)
    assert service.without_key("http://h/u?key=1&page=2&xkey=3#top") == "http://h/u?page=2&xkey=3#top"
    assert service.without_key("http://h/u?key=1") == "http://h/u"
    record = '{"self": "http://h/1?key=s3cret%2B%2F%3D%26x&a=1", "n": "s3cret+/=&x"}'
    assert service.masked_record(record) == '{"self": "http://h/1?key=***&a=1", "n": "s3cret+/=&x"}'
