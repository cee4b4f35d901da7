"""What a user may write in `access.yml`: keys, what each of them reaches, and the secret that masks hash with."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from lakeloop.core.config import Project
from lakeloop.core.documents import Declaration
from lakeloop.core.errors import ConfigError
from lakeloop.core.secrets import SecretReference, resolve

TablePattern = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*\.(\*|[a-z][a-z0-9_]*)$")]
ModelPattern = Annotated[str, Field(pattern=r"^(\*|[A-Za-z0-9][A-Za-z0-9_.-]*\*?)$")]
KeyName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]
SHORTEST_KEY = 16


class KeySpec(Declaration):
    """One caller of the data API, of the models API, or of both."""

    key: SecretReference
    tables: tuple[TablePattern, ...] = Field(default=(), description="Tables, or all of a schema as silver.*")
    models: tuple[ModelPattern, ...] = Field(default=(), description="Models, or all that begin so as churn*")
    pii: bool = Field(default=False, description="Whether personal data are shown as they are")
    query: bool = Field(default=False, description="Whether SELECTs are answered")
    requests_per_minute: int = Field(default=600, ge=1)

    @model_validator(mode="after")
    def _reaches_something(self) -> Self:
        if not self.tables and not self.models:
            raise PydanticCustomError("key", "a key reaches something: give it tables, models, or both")
        return self

    def reaches(self, table: str) -> bool:
        """Whether the key may read a table."""
        return any(fnmatchcase(table, pattern) for pattern in self.tables)

    def asks(self, model: str) -> bool:
        """Whether the key may ask a model."""
        return any(fnmatchcase(model, pattern) for pattern in self.models)


class AccessSpec(Declaration):
    """Everything in `access.yml`."""

    keys: dict[KeyName, KeySpec] = Field(default_factory=dict)
    masking_key: SecretReference | None = Field(default=None, description="What mask: hash is keyed with")
    requests_per_minute_without_key: int = Field(
        default=600_000, ge=1, description="What models answer an address where no key is declared"
    )
    people_with_pii: tuple[str, ...] = Field(default=(), description="Users who may give --pii to `lakeloop query`")


@dataclass(frozen=True)
class Caller:
    """A reader whose key was right."""

    name: str
    spec: KeySpec


class Keys:
    """The keys of a project, of which only digests are held."""

    def __init__(self, specs: Mapping[str, KeySpec], values: Mapping[str, str]) -> None:
        self._callers = [(_digest(values[name]), Caller(name, spec)) for name, spec in specs.items()]

    def caller(self, presented: str) -> Caller | None:
        """Whose key this is. The time it takes does not tell how much of a wrong key is right."""
        digest, found = _digest(presented), None
        for known, caller in self._callers:
            if hmac.compare_digest(known, digest):
                found = caller
        return found


def load_access(project: Project) -> AccessSpec:
    """The declaration, which is empty where there is no `access.yml`. Raises ConfigError with file and line."""
    document = project.optional("access.yml")
    return document.parse(AccessSpec) if document else AccessSpec()


def load_keys(project: Project, access: AccessSpec) -> Keys:
    """The values of all keys. Raises ConfigError for one that is short or stands twice, SecretMissingError for none."""
    values = {name: resolve(spec.key, project.secrets_folder) for name, spec in access.keys.items()}
    for name, value in values.items():
        if len(value) < SHORTEST_KEY:
            raise ConfigError(f"access.yml: the key '{name}' has {len(value)} characters, of at least {SHORTEST_KEY}")
        if twin := next((other for other in values if other < name and values[other] == value), None):
            raise ConfigError(f"access.yml: the keys '{twin}' and '{name}' have one value; give each its own")
    return Keys(access.keys, values)


def masking_secret(project: Project, access: AccessSpec) -> str | None:
    """The value of `masking_key`, or None where none is declared."""
    return resolve(access.masking_key, project.secrets_folder) if access.masking_key else None


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
