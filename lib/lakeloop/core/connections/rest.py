"""An HTTP API that answers JSON."""

import datetime as dt
from typing import Annotated

from pydantic import Field

from lakeloop.core.connections.authentication import Authentication
from lakeloop.core.documents import Declaration
from lakeloop.core.durations import Wait
from lakeloop.core.rates import Rate
from lakeloop.core.secrets import SecretReference

HostAndPort = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+(:\d{1,5})?$|^\[[0-9A-Fa-f:.]+\](:\d{1,5})?$")]


class RestConnection(Declaration):
    """An HTTP API that answers JSON: where it is, who asks, how often, and how long is waited."""

    base_url: str = Field(pattern=r"^https?://[^/?#@\\]+[^?#@\\]*$", description="No user, no query")
    auth: Authentication = Field(description="One of bearer, api_key, basic, oauth2, or the word none")
    rate_limit: Rate | None = Field(default=None, description="Requests, retries included, over all that ask at once")
    connect_timeout_seconds: float = Field(default=5, gt=0)
    read_timeout_seconds: float = Field(default=30, gt=0, description="Without a further byte")
    answer_timeout_seconds: float = Field(default=300, gt=0, description="From asking to the last byte")
    retries: int = Field(default=5, ge=0, le=20, description="Further tries after 429, 5xx or a broken connection")
    backoff_seconds: float = Field(default=0.5, ge=0, description="Longest first pause; doubled each time, full jitter")
    longest_wait: Wait = Field(default=dt.timedelta(minutes=1), description="Beyond it a Retry-After ends the asking")
    allow_hosts: tuple[HostAndPort, ...] = Field(
        default=(), description="host or host:port that next links and redirects may lead to besides"
    )
    ca_file: str | None = Field(default=None, description="Certificates to trust instead of the public ones")

    @property
    def secrets(self) -> list[SecretReference]:
        """What must have a value before the API can be asked."""
        return [self.auth.secret] if self.auth.secret is not None else []
