"""What a user may write in `pipelines/<name>.yml`."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from lakeloop.core.config import Project
from lakeloop.core.documents import Declaration
from lakeloop.core.errors import ConfigError
from lakeloop.ingestion.transforms import Dedupe, Transform
from lakeloop.lake.tables import REFERENCE
from lakeloop.quality import Rule

TableReference = Annotated[str, Field(pattern=REFERENCE.pattern)]
# What Delta can store as a column name, less the leading underscore that Lakeloop's own columns have.
FIELD_NAME = r"^[^_`. ,;{}()\n\t=][^`. ,;{}()\n\t=]*$"
FieldName = Annotated[str, Field(pattern=FIELD_NAME)]


def _distinct(names: list[str]) -> list[str]:
    lowered = [name.lower() for name in names]  # Spark's column names do not differ by case alone
    if repeated := sorted({name for name in names if lowered.count(name.lower()) > 1}):
        raise ValueError(f"{', '.join(repeated)}: a field stands twice")
    return names


FieldNames = Annotated[list[FieldName], Field(min_length=1), AfterValidator(_distinct)]


class Cursor(Declaration):
    """Incremental reading: only rows whose cursor is greater than the greatest one read so far."""

    cursor: str


class RestCursor(Cursor):
    """Incremental reading of an API that filters by the cursor itself."""

    param: str = Field(description="Query parameter that takes the greatest cursor read so far")


class JdbcSource(Declaration):
    """A table of a database."""

    jdbc: str = Field(description="Connection")
    table: str
    incremental: Cursor | None = Field(default=None, description="Without it every run reads the whole table")


class Pagination(Declaration):
    """Numbered pages from 1; a page with fewer than `size` records is the last."""

    page_param: str = "page"
    size_param: str = "per_page"
    size: int = Field(default=500, gt=0)


class RestSource(Declaration):
    """A paged API whose answer holds a list of flat JSON records."""

    rest: str = Field(description="Connection")
    path: str = Field(pattern="^/", description="Path below the connection's address")
    records: str = Field(description="Key of the answer that holds the list")
    paginate: Pagination = Pagination()
    incremental: RestCursor | None = None
    fields: FieldNames


class CsvFormat(Declaration):
    """Delimited text with a header line; one record a line."""

    delimiter: str = Field(default=",", min_length=1, max_length=1)
    quote: str = Field(default='"', min_length=1, max_length=1)


class JsonLinesFormat(Declaration):
    """One JSON object a line."""


class XmlFormat(Declaration):
    """XML documents in which each `row_tag` element is a record and its child elements are the fields."""

    row_tag: str


class Formats(Declaration):
    """How files are read, by extension: `.csv`, `.jsonl`, `.xml`. Files of other extensions are left alone."""

    csv: CsvFormat | None = None
    jsonl: JsonLinesFormat | None = None
    xml: XmlFormat | None = None

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if not (self.csv or self.jsonl or self.xml):
            raise PydanticCustomError("formats", "formats names at least one of csv, jsonl, xml, as `jsonl: {}`")
        return self


class FilesSource(Declaration):
    """A folder; each file is read once, by its path, size and modification time."""

    files: str = Field(description="Connection")
    formats: Formats
    fields: FieldNames


class QuerySource(Declaration):
    """SQL over tables of the lake; read again whenever one of its inputs has a new version."""

    inputs: dict[str, TableReference] = Field(min_length=1, description="View name in the query: table")
    query: str


def _kind_of_source(value: Any) -> str | None:
    given = value if isinstance(value, dict) else value.__dict__ if isinstance(value, Declaration) else {}
    found = [kind for kind in ("jdbc", "rest", "files", "query") if kind in given]
    return f"{found[0]}_source" if len(found) == 1 else None  # not a key, or errors would show the line of that key


Source = Annotated[
    Annotated[JdbcSource, Tag("jdbc_source")]
    | Annotated[RestSource, Tag("rest_source")]
    | Annotated[FilesSource, Tag("files_source")]
    | Annotated[QuerySource, Tag("query_source")],
    Discriminator(
        _kind_of_source,
        custom_error_type="source",
        custom_error_message="a source has exactly one of the keys files, jdbc, query, rest",
    ),
]


class Sink(Declaration):
    """The table of good rows."""

    table: TableReference
    mode: Literal["append", "merge", "overwrite"] = "append"
    keys: tuple[str, ...] = Field(
        default=(), description="For merge: what identifies a row; NULLs and repeats are errors"
    )
    sequence_by: str | None = Field(default=None, description="For merge: an older row never replaces a newer one")
    history: Literal["scd2"] | None = Field(default=None, description="Keep every version of a key")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.mode == "merge") != bool(self.keys):
            raise PydanticCustomError("sink", "keys belong to mode merge, and mode merge needs them")
        if self.sequence_by and self.mode != "merge":
            raise PydanticCustomError("sink", "sequence_by belongs to mode merge")
        if self.history and (self.mode != "merge" or self.sequence_by is None):
            raise PydanticCustomError("sink", "history: scd2 needs mode merge and sequence_by")
        return self


class PipelineSpec(Declaration):
    """One pipeline: source → transforms → rules → sink. Grain of the sink is what `description` says."""

    pipeline: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    description: str
    owner: str | None = None
    source: Source
    transforms: tuple[Transform, ...] = ()
    rules: tuple[Rule, ...] = ()
    sink: Sink

    @model_validator(mode="after")
    def _names_rules_once(self) -> Self:
        names = [rule.name for rule in self.rules]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise PydanticCustomError("rules", f"two rules are called {', '.join(repeated)}; give one a `name`")
        return self

    @property
    def record_table(self) -> str:
        """The bronze table: every row that came in, once, with its verdict."""
        return f"bronze.{self.pipeline}"

    @property
    def all_rules(self) -> list[Rule]:
        """The declared rules and those that the sink implies: merge keys are present and unique within a batch."""
        implied: list[dict[str, Any]] = [{"is_not_null": key} for key in self.sink.keys]
        if self.sink.keys and not self._dedupes_keys():
            implied.append({"is_unique": {"columns": list(self.sink.keys)}})
        if self.sink.history and self.sink.sequence_by:
            implied.append({"is_not_null": self.sink.sequence_by})
        kept = {(r.kind, r.columns) for r in self.rules if r.severity != "warn" and r.filter is None}
        names = {rule.name for rule in self.rules}
        missing = [rule for rule in map(Rule.model_validate, implied) if (rule.kind, rule.columns) not in kept]
        return [
            *self.rules,
            *(r.model_copy(update={"name": f"sink_{r.name}"}) if r.name in names else r for r in missing),
        ]

    def _dedupes_keys(self) -> bool:
        """Whether a dedupe makes the sink's keys unique; one whose keys are changed afterwards does not."""
        keys, unique = set(self.sink.keys), False
        for transform in self.transforms:
            step = transform.step
            if isinstance(step, Dedupe):
                unique = unique or set(step.keys) <= keys
            elif keys & set(step.root):
                unique = False
        return unique

    @property
    def inputs(self) -> set[str]:
        """The tables of the lake that this pipeline reads: those of its query and of its rules."""
        tables = {rule.table for rule in self.rules if rule.table}
        return tables | set(self.source.inputs.values()) if isinstance(self.source, QuerySource) else tables


def load_pipeline(project: Project, name: str) -> PipelineSpec:
    """The declaration of one pipeline. Raises ConfigError with file and line of each problem."""
    document = project.document("pipelines", name)
    spec = document.parse(PipelineSpec)
    if spec.pipeline != name:
        raise ConfigError(f"{document.place(('pipeline',))}: the file is called {name}, the pipeline {spec.pipeline}")
    return spec
