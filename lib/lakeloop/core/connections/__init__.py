"""The systems that `connections.yml` names: one module per kind, and the declaration that has exactly one of them."""

from typing import Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from lakeloop.core.connections.files import FilesConnection
from lakeloop.core.connections.jdbc import JdbcConnection
from lakeloop.core.connections.kafka import KafkaConnection
from lakeloop.core.connections.rest import RestConnection
from lakeloop.core.documents import ONE_KEY, Declaration
from lakeloop.core.secrets import SecretReference

AnyConnection = JdbcConnection | RestConnection | FilesConnection | KafkaConnection


class Connection(Declaration):
    """One system; exactly one kind is given."""

    model_config = ONE_KEY

    jdbc: JdbcConnection | None = None
    rest: RestConnection | None = None
    files: FilesConnection | None = None
    kafka: KafkaConnection | None = None

    @model_validator(mode="after")
    def _exactly_one_kind(self) -> Self:
        if len(self.model_fields_set) != 1 or self._given is None:
            kinds = ", ".join(type(self).model_fields)
            raise PydanticCustomError("connection", f"a connection has exactly one of the keys {kinds}")
        return self

    @property
    def _given(self) -> AnyConnection | None:
        return self.jdbc or self.rest or self.files or self.kafka

    @property
    def kind(self) -> AnyConnection:
        """The settings that are given."""
        given = self._given
        assert given is not None
        return given

    @property
    def secrets(self) -> list[SecretReference]:
        """The references that must have a value before the system can be reached."""
        return self.kind.secrets


__all__ = ["AnyConnection", "Connection", "FilesConnection", "JdbcConnection", "KafkaConnection", "RestConnection"]
