"""A connection together with the value of its secret: what is needed to ask an API, on the driver or an executor."""

import base64
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, quote_plus

from lakeloop.core import secrets
from lakeloop.core.connections import RestConnection

MASK = "***"


@dataclass(frozen=True)
class Service:
    """A named connection and its secret, which stands in no log and no error; empty where there is none."""

    name: str
    connection: RestConnection
    secret: str = field(default="", repr=False)

    @classmethod
    def of(cls, name: str, connection: RestConnection, secrets_folder: Path | None) -> "Service":
        """The service with its secret; SecretMissingError for one that has no value."""
        reference = connection.auth.secret
        return cls(name, connection, secrets.resolve(reference, secrets_folder) if reference is not None else "")

    def masked(self, text: str, *more: str) -> str:
        """The text without the secret, as it is or encoded; `more` are tokens that were got by it."""
        for secret in (self.secret, *more):
            if not secret:
                continue
            for form in {secret, quote(secret, safe=""), quote_plus(secret), self._as_basic(secret)}:
                text = text.replace(form, MASK)
        return text

    def without_key(self, url: str) -> str:
        """An address without the API key, which servers repeat in the links that they give."""
        key = self.connection.auth.api_key
        if key is None or key.query is None:
            return url
        before, question, query = url.partition("?")
        query, hash_, fragment = query.partition("#")
        kept = [part for part in query.split("&") if part.partition("=")[0] != key.query]
        return before + (question if any(kept) else "") + "&".join(kept) + hash_ + fragment

    def masked_record(self, text: str) -> str:
        """A record whose links repeat the API key, with the key masked; any other text as it is."""
        key = self.connection.auth.api_key
        if key is None or key.query is None or not self.secret:
            return text
        forms = "|".join(
            re.escape(form) for form in {self.secret, quote(self.secret, safe=""), quote_plus(self.secret)}
        )
        return re.sub(rf"(?<![\w.-])({re.escape(key.query)}=)(?:{forms})", rf"\g<1>{MASK}", text)

    def _as_basic(self, secret: str) -> str:
        auth = self.connection.auth
        user = auth.basic.user if auth.basic else auth.oauth2.client_id if auth.oauth2 else ""
        return base64.b64encode(f"{user}:{secret}".encode()).decode()
