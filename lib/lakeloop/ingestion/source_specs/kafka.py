"""What a user may write of a source that reads topics of a Kafka cluster."""

import datetime as dt
import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, AwareDatetime, Field, model_validator

from lakeloop.core.documents import ONE_KEY, Declaration
from lakeloop.ingestion.field_names import FieldName, FieldNames

Topic = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")]


def _compilable(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return pattern


class JsonMessages(Declaration):
    """Each message is one JSON object."""


class AvroRegistry(Declaration):
    """Messages that begin with a zero byte and the four-byte id of the schema that wrote them.

    A schema of `schemas` is taken from its file, any other id is asked of the registry, if one is given.
    """

    rest: str | None = Field(default=None, description="Connection of the registry")
    schemas: dict[Annotated[int, Field(ge=0)], str] = Field(default_factory=dict, description="Id: schema file")

    @model_validator(mode="after")
    def _has_a_way(self) -> Self:
        if self.rest is None and not self.schemas:
            raise ValueError("a registry has a `rest` connection, or `schemas: {1: file.avsc}`, or both")
        return self


class AvroMessages(Declaration):
    """Avro records without a container: all by one schema, or each by the schema that its header names."""

    schema_file: str | None = Field(default=None, description="The schema that wrote all messages")
    registry: AvroRegistry | None = None

    @model_validator(mode="after")
    def _exactly_one_way(self) -> Self:
        if (self.schema_file is None) == (self.registry is None):
            raise ValueError("avro has either a schema_file or a registry")
        return self


class TextMessages(Declaration):
    """Each message is a text in UTF-8, the value of the only field."""

    field: FieldName = "text"


class RawMessages(Declaration):
    """Each message is bytes, the value of the only field; all bytes are well."""

    field: FieldName = "value"


AnyMessages = JsonMessages | AvroMessages | TextMessages | RawMessages


class MessageFormat(Declaration):
    """What a message's value is; exactly one kind is given."""

    model_config = ONE_KEY

    json_: JsonMessages | None = Field(default=None, alias="json")
    avro: AvroMessages | None = None
    text: TextMessages | None = None
    raw: RawMessages | None = None

    @model_validator(mode="after")
    def _exactly_one_kind(self) -> Self:
        if len(self.model_fields_set) != 1 or self._given is None:
            raise ValueError("a format has exactly one of the keys json, avro, text, raw, as `json: {}`")
        return self

    @property
    def _given(self) -> AnyMessages | None:
        return self.json_ or self.avro or self.text or self.raw

    @property
    def kind(self) -> AnyMessages:
        """The format that is given."""
        given = self._given
        assert given is not None
        return given


class AroundValue(Declaration):
    """Columns for what a message has beside its value; none is kept unless it is named here.

    The key is text, or `base64:` and its bytes where they are no UTF-8; headers are an array of (key, value in bytes)
    in their order, a key as often as it comes; the timestamp is the broker's or the producer's, as the topic is set up.
    """

    key: FieldName | None = None
    headers: FieldName | None = None
    timestamp: FieldName | None = None
    topic: FieldName | None = None

    @property
    def names(self) -> list[str]:
        """The columns that are declared."""
        return [name for name in (self.key, self.headers, self.timestamp, self.topic) if name is not None]


class StartTime(Declaration):
    """The first messages at or after a moment."""

    time: AwareDatetime

    @property
    def milliseconds(self) -> int:
        """The same as Kafka counts it."""
        return int(self.time.astimezone(dt.UTC).timestamp() * 1000)


class KafkaSource(Declaration):
    """Topics; each message is read once, by topic, partition and offset."""

    kafka: str = Field(description="Connection")
    topics: tuple[Topic, ...] = ()
    topic_pattern: Annotated[str, AfterValidator(_compilable)] | None = Field(
        default=None, description="Regular expression that the whole name matches; new topics are taken as they come"
    )
    format: MessageFormat
    fields: FieldNames | None = Field(default=None, description="For json and avro")
    message: AroundValue = AroundValue()
    max_messages: int = Field(default=1_000_000, gt=0, description="Of one batch, over all partitions in proportion")
    start: Literal["earliest", "latest"] | StartTime = Field(
        default="earliest", description="For the first run only; what comes up later is read from its beginning"
    )
    tombstones: Literal["quarantine", "keep"] = Field(
        default="quarantine", description="A message without a value: quarantined, or a row whose fields are NULL"
    )
    on_data_loss: Literal["fail", "note"] = Field(
        default="fail", description="When messages are gone before they were read: stop, or go on and say so"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if bool(self.topics) == (self.topic_pattern is not None):
            raise ValueError("a kafka source has either topics or a topic_pattern")
        if len(set(self.topics)) != len(self.topics):
            raise ValueError("a topic stands twice; keep one")
        named = isinstance(self.format.kind, JsonMessages | AvroMessages)
        if named != (self.fields is not None):
            raise ValueError("fields belong to json and avro, and these need them")
        columns = [name.lower() for name in (*self.columns, *self.message.names)]
        if repeated := sorted({name for name in columns if columns.count(name) > 1}):
            raise ValueError(f"{', '.join(repeated)}: a column stands twice among fields and message")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that come out of a message's value."""
        kind = self.format.kind
        return (kind.field,) if isinstance(kind, TextMessages | RawMessages) else tuple(self.fields or ())

    @property
    def data_set(self) -> str:
        """What the catalog calls it."""
        return f"kafka:{self.kafka}/{self.topic_pattern or ','.join(self.topics)}"

    @property
    def arriving(self) -> tuple[str, ...]:
        """The columns that it is declared to give; empty where only reading tells."""
        return (*self.columns, *self.message.names)
