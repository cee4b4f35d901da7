"""What a user may write of a source that reads files: formats, limits, and what becomes of a file that was read."""

import codecs
import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from lakeloop.core.documents import Declaration, propose
from lakeloop.core.durations import Wait
from lakeloop.ingestion.field_names import FieldName
from lakeloop.ingestion.schemas.declaration import Fields, SchemaRules
from lakeloop.quality.arrivals import Expectation


def _known_encoding(value: str) -> str:
    if value == "auto":
        return value
    try:
        return codecs.lookup(value).name
    except LookupError as error:
        raise ValueError(f"Python knows no encoding '{value}'; write its name, as utf-8 or cp1252, or auto") from error


def _one_character(value: str) -> str:
    if len(value) != 1 and value != "auto":
        raise ValueError("a delimiter has at most 1 character, or is auto")
    return value


Encoding = Annotated[str, AfterValidator(_known_encoding)]
Extensions = Annotated[tuple[str, ...], Field(min_length=1)]


class Format(Declaration):
    """What all formats have: the extensions (without the dot, in lower case) by which a file is taken for this one."""

    extensions: Extensions = ()


class TextFormat(Format):
    """What all formats of text have. `auto` looks at the first 64 KiB; a byte order mark counts in any case."""

    encoding: Encoding = "utf-8"


class CsvFormat(TextFormat):
    """Delimited text with a header line. With `multiline` a quoted cell may hold line breaks."""

    extensions: Extensions = ("csv", "tsv")
    delimiter: Annotated[str, AfterValidator(_one_character)] = ","
    quote: str = Field(default='"', min_length=1, max_length=1)
    multiline: bool = False


class JsonLinesFormat(TextFormat):
    """One JSON object a line."""

    extensions: Extensions = ("jsonl", "ndjson")


class JsonArrayFormat(TextFormat):
    """One document: an array of objects, one object, or one object a line."""

    extensions: Extensions = ("json",)


class XmlFormat(Format):
    """Documents in which each `row_tag` element is a record and its child elements are the fields.

    The document itself says its encoding.
    """

    extensions: Extensions = ("xml",)
    row_tag: str


class FixedWidthFormat(TextFormat):
    """Lines in which each field has so many characters, in the declared order; blanks around a value go."""

    extensions: Extensions = ("txt", "dat")
    widths: dict[FieldName, Annotated[int, Field(gt=0)]] = Field(min_length=1)
    skip_lines: int = Field(default=0, ge=0, description="Lines at the top that are no records")


class PlainTextFormat(TextFormat):
    """Each line is a record whose only field is `field`."""

    extensions: Extensions = ("log", "text")
    field: FieldName = "text"


class ParquetFormat(Format):
    """Parquet; columns are matched by name."""

    extensions: Extensions = ("parquet",)


class OrcFormat(Format):
    """ORC; columns are matched by name."""

    extensions: Extensions = ("orc",)


class AvroFormat(Format):
    """Avro container files; fields are matched by name."""

    extensions: Extensions = ("avro",)


class ExcelFormat(Format):
    """A sheet, by name or position from 0; its line `header_line` names the columns, a formula counts by its value."""

    extensions: Extensions = ("xlsx", "xlsm", "xls", "xlsb", "ods")
    sheet: str | int = 0
    header_line: int = Field(default=1, gt=0)


AnyFormat = (
    CsvFormat | JsonLinesFormat | JsonArrayFormat | XmlFormat | FixedWidthFormat | PlainTextFormat
    | ParquetFormat | OrcFormat | AvroFormat | ExcelFormat
)  # fmt: skip


class Formats(Declaration):
    """How files are read, by extension; `.gz`, `.bz2` and `.zip` are looked into. Other files are left alone."""

    csv: CsvFormat | None = None
    jsonl: JsonLinesFormat | None = None
    json_array: JsonArrayFormat | None = None
    xml: XmlFormat | None = None
    fixed_width: FixedWidthFormat | None = None
    text: PlainTextFormat | None = None
    parquet: ParquetFormat | None = None
    orc: OrcFormat | None = None
    avro: AvroFormat | None = None
    excel: ExcelFormat | None = None

    @model_validator(mode="after")
    def _names_each_extension_once(self) -> Self:
        if not self.declared:
            known = ", ".join(type(self).model_fields)
            raise ValueError(f"formats names at least one of {known}, as `jsonl: {{}}`")
        taken: dict[str, str] = {}
        for name, declared in self.declared.items():
            for extension in declared.extensions:
                if (other := taken.setdefault(extension, name)) != name:
                    raise ValueError(f"{other} and {name} both take .{extension}; give one of them `extensions: […]`")
        return self

    @property
    def declared(self) -> dict[str, AnyFormat]:
        """The formats that are declared, by the key that declares them."""
        found = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: format_ for name, format_ in found.items() if format_ is not None}

    @property
    def by_extension(self) -> dict[str, AnyFormat]:
        """The format of each extension."""
        return {extension: declared for declared in self.declared.values() for extension in declared.extensions}


class Limits(Declaration):
    """What a file may cost before it is refused; the defaults stop bombs and spare honest files."""

    expanded_bytes: int = Field(default=4 * 2**30, gt=0, description="Of one packed file, unpacked")
    ratio: int = Field(default=200, gt=0, description="Unpacked over packed, counted from the first MiB on")
    entries: int = Field(default=10_000, gt=0, description="Members of an archive")
    record_bytes: int = Field(default=8 * 2**20, gt=0, description="Of one line or record; a longer one is malformed")


class Move(Declaration):
    """Move a file that was read, under the folder `move`, relative to the connection's path or absolute."""

    move: str

    @model_validator(mode="after")
    def _leads_out_of_what_is_read(self) -> Self:
        if not ("://" in self.move or self.move.startswith(("/", "_", ".", "../"))):
            raise ValueError(f"files moved to '{self.move}' would be read again; begin its name with an underscore")
        return self


class FilesSource(Declaration):
    """A folder; each file is read once, by path, size, modification time and content."""

    files: str = Field(description="Connection")
    pattern: str = Field(default="**", description="Glob of the paths below the connection's folder that are taken")
    formats: Formats
    fields: Fields | None = Field(default=None, description="Names, or names with types; none: inferred once")
    schema_rules: SchemaRules = Field(default=SchemaRules(), alias="schema", description="When a file has others")
    order: Literal["name", "time"] = Field(default="name", description="Which files come first")
    files_per_batch: int = Field(default=10_000, gt=0)
    settle: Wait = Field(default=dt.timedelta(seconds=1), description="A file is read once it is so old")
    processed: Literal["keep", "delete"] | Move = Field(default="keep", description="Once its batch has ended")
    limits: Limits = Limits()
    expect: Expectation | None = Field(default=None, description="How often data should come")

    @model_validator(mode="after")
    def _renames_what_it_has(self) -> Self:
        if self.fields is not None:
            for column in self.schema_rules.renames:
                if column not in self.fields:
                    raise ValueError(f"renames: no field '{column}' is declared; {propose(column, list(self.fields))}")
        return self

    @property
    def declared_types(self) -> dict[str, str | None] | None:
        """The declared columns with the types that are held; None where nothing is declared."""
        if self.fields is None:
            return None
        return dict(self.fields) if isinstance(self.fields, Mapping) else dict.fromkeys(self.fields)

    @property
    def data_set(self) -> str:
        """What the catalog calls it."""
        return f"files:{self.files}"

    @property
    def arriving(self) -> tuple[str, ...]:
        """The columns that it is declared to give; empty where only reading tells."""
        return tuple(self.fields or ())
