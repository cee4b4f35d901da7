"""From a response, or what broke it, to a reply or a failure in words."""

import datetime as dt
import time
from contextlib import suppress

import requests
from urllib3.exceptions import DecodeError, HTTPError

from lakeloop.core.durations import in_words
from lakeloop.ingestion.http.answers import Failure, Reply, TooLargeError, read_body
from lakeloop.ingestion.http.pacing import retry_after

RETRIED = (429, 500, 502, 503, 504)
REFUSED = (401, 403)
WITH_ANSWER = (200, 204)
REDIRECTS = (301, 302, 303, 307, 308)
BROKEN = (requests.RequestException, HTTPError, OSError)
DRAINED_BYTES = 65_536


def found_in(
    response: requests.Response, url: str, most_bytes: int, deadline: float, longest_wait: dt.timedelta
) -> Reply | Failure:
    """The reply of a response that has begun. Raises what BROKEN names where its body breaks."""
    status = response.status_code
    if status in WITH_ANSWER:
        try:
            body = read_body(response, most_bytes, deadline)
        except TooLargeError:
            return Failure("large", f"an answer of more than {most_bytes:,} bytes", status)
        if _ends_early(response, body):
            return Failure("down", "its body ends early", status)
        return Reply(status, body, response.headers, url)
    if status in RETRIED:
        return _busy(status, response, longest_wait)
    with suppress(*BROKEN, TooLargeError):
        read_body(response, DRAINED_BYTES, min(deadline, time.monotonic() + 1))  # so that the connection is used again
    if status in REFUSED:
        return Failure("refused", f"the credentials were refused (status {status}); renew the secret", status, True)
    return Failure("status", f"status {status}", status)


def _ends_early(response: requests.Response, body: bytes) -> bool:
    """Whether JSON that came without a length, so that only its text can tell, is not all there."""
    has_length = "Content-Length" in response.headers or "chunked" in response.headers.get("Transfer-Encoding", "")
    text = body.strip()
    return not has_length and text[:1] in (b"{", b"[") and text[-1:] not in (b"}", b"]")


def _busy(status: int, response: requests.Response, longest_wait: dt.timedelta) -> Failure:
    wait = retry_after(response.headers.get("Retry-After"), response.headers.get("Date"))
    if wait is not None and wait > longest_wait.total_seconds():
        asked = f"asks to be left alone for {in_words(dt.timedelta(seconds=min(wait, 1e9)))}"
        said = f"status {status}, it {asked}, and longest_wait of the connection is {in_words(longest_wait)}"
        return Failure("busy", said, status, for_all=True)
    return Failure("busy", f"status {status}", status, wait_seconds=wait)


def broken(error: Exception) -> Failure:
    """What a connection that broke comes to. No text of a library is in it, for those hold addresses and keys."""
    if isinstance(error, requests.exceptions.SSLError):
        said = "its certificate is not trusted, or TLS failed; mend it there, or name its authority by ca_file"
        return Failure("down", said, for_all=True)
    if isinstance(error, DecodeError):
        return Failure("down", "its body is not packed as its header says")
    if isinstance(error, requests.exceptions.InvalidHeader | requests.exceptions.InvalidURL):
        return Failure("link", f"an address or a header is not usable ({type(error).__name__})", for_all=True)
    return Failure("down", f"no answer ({type(error).__name__})")
