"""Messages by HTTP POST: a webhook's JSON, signed where a key is given, and Slack's."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

import requests

from lakeloop.core.errors import DeliveryError, DeliveryRefusedError
from lakeloop.monitoring.messages import Message

SIGNATURE = "X-Lakeloop-Signature"
WORTH_A_RETRY = {408, 425, 429}


def post_webhook(
    url: str, message: Message, headers: Mapping[str, str], key: str | None, timeout_seconds: float
) -> str:
    """POST a message as JSON; nothing to remark. Raises DeliveryError."""
    body = _encoded(message.as_json())
    signature = {SIGNATURE: signature_of(body, key)} if key is not None else {}
    return _post(url, body, {**headers, **signature}, timeout_seconds)


def post_slack(url: str, message: Message, timeout_seconds: float) -> str:
    """POST a message to an incoming webhook of Slack; nothing to remark. Raises DeliveryError."""
    return _post(url, _encoded(message.as_slack()), {}, timeout_seconds)


def signature_of(body: bytes, key: str) -> str:
    """What a receiver computes over the bytes of the body to know who sent them."""
    return f"sha256={hmac.new(key.encode(), body, hashlib.sha256).hexdigest()}"


def _encoded(values: dict[str, Any]) -> bytes:
    return json.dumps(values).encode()


def _post(url: str, body: bytes, headers: Mapping[str, str], timeout_seconds: float) -> str:
    # No cause is chained: the library's own texts hold the URL, which may be a secret.
    try:
        with requests.post(
            url,
            data=body,
            headers={"Content-Type": "application/json", "User-Agent": "lakeloop", **headers},
            timeout=timeout_seconds,
            allow_redirects=False,
            stream=True,  # the answer's body is nobody's concern, and may not end
        ) as answer:
            status = answer.status_code
    except requests.Timeout:
        raise DeliveryError(f"no answer within {timeout_seconds:g} s") from None
    except requests.ConnectionError as error:
        raise DeliveryError(f"no connection ({type(error).__name__})") from None
    except (requests.RequestException, ValueError) as error:
        raise DeliveryRefusedError(f"the address or a header is not usable ({type(error).__name__})") from None
    if status >= 500 or status in WORTH_A_RETRY:
        raise DeliveryError(f"the receiver answered {status}")
    if status >= 300:
        raise DeliveryRefusedError(f"the receiver answered {status}")
    return ""
