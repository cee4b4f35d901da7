"""`repair`: text that a system before this one has damaged. Each repair, done again, changes nothing more."""

import html
import re
from collections.abc import Callable, Mapping
from html.entities import html5
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, RootModel
from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import pandas_udf

from lakeloop.ingestion.transforms.allowed import distinct, one_of
from lakeloop.ingestion.transforms.conformed import Conformed
from lakeloop.quality.row_rules.columns import value_of

Kind = Literal["mojibake", "control_characters", "html_entities", "quotes"]
Kinds = Annotated[list[Annotated[Kind, one_of(Kind, "repair")]], Field(min_length=1), AfterValidator(distinct)]

# The characters of Windows-1252 that Latin-1 lacks, and the bytes that they stand for.
WINDOWS_1252 = {
    bytes([byte]).decode("cp1252"): chr(byte) for byte in range(0x80, 0xA0) if byte not in b"\x81\x8d\x8f\x90\x9d"
}
SINGLE_BYTES = rf"\A[\x00-\xff{''.join(WINDOWS_1252)}]*\z"
FIRST_OF_SEVERAL = r"[\xc2-\xf4]"

TYPOGRAPHIC = {"'": "‘’‚‛‹›", '"': "“”„‟«»"}
ENTITY = r"&(#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]*);"


class Repair(RootModel[Annotated[dict[str, Kinds], Field(min_length=1)]]):
    """`repair: {a: [mojibake, quotes]}`: the declared repairs, in the declared order. NULL stays NULL.

    `mojibake` reads a text again that was UTF-8 and was read as Latin-1 or Windows-1252, up to twice over, where the
    whole text is such a misreading; `control_characters` removes them but for tab and line breaks; `html_entities`
    decodes named and numbered entities that end in a semicolon; `quotes` straightens typographic ones.
    """

    model_config = {"frozen": True}

    @property
    def writes(self) -> set[str]:
        """The columns that are repaired."""
        return set(self.root)

    def apply(self, conformed: Conformed) -> Conformed:
        """Repair the columns in place; they become text."""
        conformed.require(list(self.root), "repair")
        conformed = conformed.changed({column: value_of(column).cast("string") for column in self.root})
        for column, kinds in self.root.items():
            for kind in kinds:
                conformed = REPAIRS[kind](conformed, column)
        return conformed


def _mojibake(conformed: Conformed, column: str) -> Conformed:
    """Two rounds at most; a text that is still a misreading after them stays as it came."""
    before, after = conformed.marker(f"read_{column}"), conformed.marker(f"reread_{column}")
    conformed = conformed.changed({before: value_of(column)})
    for read, reread in ((before, after), (after, after)):
        conformed = conformed.changed({reread: F.when(_is_misread(read), _reread(read)).otherwise(value_of(read))})
    return conformed.changed({column: F.when(_is_misread(after), value_of(before)).otherwise(value_of(after))})


def _as_bytes(column: str) -> Column:
    return F.encode(F.translate(value_of(column), "".join(WINDOWS_1252), "".join(WINDOWS_1252.values())), "ISO-8859-1")


def _reread(column: str) -> Column:
    return F.decode(_as_bytes(column), "UTF-8")


def _is_misread(column: str) -> Column:
    """Every character stands for a byte, and the bytes are UTF-8 with more than ASCII in it."""
    text = value_of(column)
    lossless = F.encode(_reread(column), "UTF-8") == _as_bytes(column)
    return F.coalesce(text.rlike(FIRST_OF_SEVERAL) & text.rlike(SINGLE_BYTES) & lossless, F.lit(False))


def _control_characters(conformed: Conformed, column: str) -> Conformed:
    return conformed.changed({column: F.regexp_replace(value_of(column), r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", "")})


def _quotes(conformed: Conformed, column: str) -> Conformed:
    straight = "".join(quote * len(found) for quote, found in TYPOGRAPHIC.items())
    return conformed.changed({column: F.translate(value_of(column), "".join(TYPOGRAPHIC.values()), straight)})


def _html_entities(conformed: Conformed, column: str) -> Conformed:
    """Spark knows no names of entities: only texts that hold one go through Python."""

    def decoded(match: re.Match[str]) -> str:
        return html.unescape(match[0]) if match[1][0] == "#" else html5.get(match[1] + ";", match[0])

    def settled(text: str) -> str:
        while (found := re.sub(ENTITY, decoded, text)) != text:
            text = found
        return text

    import pandas as pd  # here: it takes most of a second, which few need to wait for

    @pandas_udf("string")  # type: ignore[call-overload,untyped-decorator]
    def unescaped(texts: pd.Series) -> pd.Series:
        return texts.map(settled, na_action="ignore")

    text = value_of(column)
    return conformed.changed({column: F.coalesce(unescaped(F.when(text.rlike(ENTITY), text)), text)})


REPAIRS: Mapping[Kind, Callable[[Conformed, str], Conformed]] = {
    "mojibake": _mojibake,
    "control_characters": _control_characters,
    "html_entities": _html_entities,
    "quotes": _quotes,
}
