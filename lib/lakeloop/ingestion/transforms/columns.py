"""`split`, `rename` and `map`: what columns are called, what they are made of, and which words they hold."""

from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, RootModel
from pyspark.sql import functions as F

from lakeloop.core.documents import Declaration
from lakeloop.core.errors import TableError
from lakeloop.ingestion.field_names import FieldName, FieldNames
from lakeloop.ingestion.transforms.allowed import one_of
from lakeloop.ingestion.transforms.conformed import Conformed, unexpected
from lakeloop.quality.row_rules.columns import value_of

Otherwise = Literal["keep", "null", "quarantine"]


class Parts(Declaration):
    """What parts a text, literally, and the columns that take the parts."""

    separator: str = Field(min_length=1)
    into: Annotated[FieldNames, Field(min_length=2)]


class Split(RootModel[Annotated[dict[str, Parts], Field(min_length=1)]]):
    """`split: {a: {separator: ",", into: [b, c]}}`: as many parts as columns, or the row is quarantined as `a_splits`.

    The separator is no pattern. An empty part becomes NULL, the parts of NULL are NULL, and `a` itself stays.
    """

    model_config = {"frozen": True}

    @property
    def writes(self) -> set[str]:
        """The columns that take the parts."""
        return {name for parts in self.root.values() for name in parts.into}

    def apply(self, conformed: Conformed) -> Conformed:
        """Add the columns. Raises TableError where one of that name is there already."""
        conformed.require(list(self.root), "split")
        for column, parts in self.root.items():
            conformed.require_free(parts.into, "split")
            lost = conformed.marker(f"splits_{column}")
            text, separator, wanted = value_of(column).cast("string"), F.lit(parts.separator), len(parts.into)
            without = F.char_length(F.replace(text, separator, F.lit("")))
            fits = F.char_length(text) - without == len(parts.separator) * (wanted - 1)
            pieces = {name: F.split_part(text, separator, F.lit(at)) for at, name in enumerate(parts.into, start=1)}
            changes = {name: F.when(fits & (piece != ""), piece) for name, piece in pieces.items()}
            expected = f"{wanted} parts with '{parts.separator}' between them"
            finding = unexpected(f"{column}_splits", column, lost, expected, (column, *parts.into))
            conformed = conformed.changed({lost: F.when(~fits, text), **changes}).found(finding)
        return conformed


class Rename(RootModel[Annotated[dict[str, FieldName], Field(min_length=1)]]):
    """`rename: {old: new}`: the same values under another name; two columns may swap theirs."""

    model_config = {"frozen": True}

    @property
    def writes(self) -> set[str]:
        """The old names, which go, and the new ones."""
        return {*self.root, *self.root.values()}

    def apply(self, conformed: Conformed) -> Conformed:
        """Rename the columns where they stand. Raises TableError where a new name is taken."""
        conformed.require(list(self.root), "rename")
        names = [self.root.get(name, name) for name in conformed.frame.columns]
        lowered = [name.lower() for name in names]
        if taken := sorted(new for new in self.root.values() if lowered.count(new.lower()) > 1):
            raise TableError(f"rename: two columns would be called '{taken[0]}'; give one another name")
        frame = conformed.frame.select(
            *(value_of(old).alias(new) for old, new in zip(conformed.frame.columns, names, strict=True))
        )
        findings = (
            replace(finding, columns=tuple(self.root.get(name, name) for name in finding.columns))
            for finding in conformed.findings
        )
        return replace(conformed, frame=frame, findings=tuple(findings))


def _as_text(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()  # as Spark writes it
    if not isinstance(value, str | int | float | None):
        raise ValueError(f"{value!r} is no word")
    return None if value is None else str(value)


Text = Annotated[str | None, BeforeValidator(_as_text, json_schema_input_type=str | int | float | bool | None)]


class Words(Declaration):
    """Words by the words that they replace, and what becomes of all others."""

    values: dict[str, Text] = Field(min_length=1)
    # YAML reads a bare null as no value at all.
    otherwise: Annotated[
        Otherwise,
        one_of(Otherwise, "way"),
        BeforeValidator(lambda value: "null" if value is None else value, json_schema_input_type=Otherwise | None),
    ]


class Map(RootModel[Annotated[dict[str, Words], Field(min_length=1)]]):
    """`map: {a: {values: {M: male, F: female}, otherwise: quarantine}}`: values, compared as text, become others.

    A value may become null. All others are kept, become NULL, or quarantine their row as `a_is_mapped`, as `otherwise`
    says. NULL stays NULL. The column becomes text.
    """

    model_config = {"frozen": True}

    @property
    def writes(self) -> set[str]:
        """The columns whose values are mapped."""
        return set(self.root)

    def apply(self, conformed: Conformed) -> Conformed:
        """Map the columns in place."""
        conformed.require(list(self.root), "map")
        for column, words in self.root.items():
            text = value_of(column).cast("string")
            is_known = text.isin(list(words.values))
            pairs = (F.lit(part).cast("string") for pair in words.values.items() for part in pair)
            mapped = F.when(is_known, F.try_element_at(F.create_map(*pairs), text))
            changes = {column: mapped.otherwise(text) if words.otherwise == "keep" else mapped}
            if words.otherwise == "quarantine":
                lost = conformed.marker(f"is_mapped_{column}")
                changes[lost] = F.when(~is_known, text)
                expected = f"one of {', '.join(words.values)}"
                conformed = conformed.found(unexpected(f"{column}_is_mapped", column, lost, expected))
            conformed = conformed.changed(changes)
        return conformed
