"""How an HTTP API knows who asks: exactly one way per connection, each with one secret at most."""

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import PydanticCustomError

from lakeloop.core.documents import ONE_KEY, Declaration
from lakeloop.core.secrets import SecretReference


class ApiKey(Declaration):
    """A key in a header or in the query of each request; in a query it is masked wherever an address is shown."""

    key: SecretReference
    header: str | None = Field(default=None, pattern=r"^[A-Za-z0-9-]+$")
    query: str | None = Field(default=None, pattern=r"^[^&=#\s]+$")

    @model_validator(mode="after")
    def _has_one_place(self) -> Self:
        if (self.header is None) == (self.query is None):
            raise PydanticCustomError("api_key", "an API key stands in exactly one of header and query")
        return self


class Basic(Declaration):
    """User and password (RFC 7617)."""

    user: str = Field(pattern="^[^:]+$")
    password: SecretReference


class ClientCredentials(Declaration):
    """OAuth 2 for programs (RFC 6749, 4.4): a token from `token_url`, kept until shortly before it expires."""

    token_url: str = Field(pattern=r"^https?://")
    client_id: str
    client_secret: SecretReference
    scope: str | None = None
    send: Literal["header", "body"] = Field(default="header", description="Where client_id and client_secret stand")
    parameters: dict[str, str] = Field(default_factory=dict, description="What else the server wants, as audience")


class NoAuthentication(Declaration):
    """Everybody may ask."""


class Authentication(Declaration):
    """Exactly one way is given; `none` is one, so that nobody forgets it."""

    model_config = ONE_KEY
    short_form: ClassVar[JsonSchemaValue | None] = {"const": "none"}

    bearer: SecretReference | None = None
    api_key: ApiKey | None = None
    basic: Basic | None = None
    oauth2: ClientCredentials | None = None
    none: NoAuthentication | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, value: Any) -> Any:
        return {"none": {}} if value == "none" else value

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if len(self.model_fields_set) != 1 or all(getattr(self, name) is None for name in type(self).model_fields):
            ways = ", ".join(type(self).model_fields)
            raise PydanticCustomError("auth", "{text}", {"text": f"auth has exactly one of the keys {ways}"})
        return self

    @property
    def secret(self) -> SecretReference | None:
        """The reference that must have a value before the API can be asked; None where everybody may."""
        if self.bearer is not None:
            return self.bearer
        if self.api_key is not None:
            return self.api_key.key
        if self.basic is not None:
            return self.basic.password
        return self.oauth2.client_secret if self.oauth2 is not None else None
