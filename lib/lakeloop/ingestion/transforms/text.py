"""`trim` and `normalise`: the same text written the same way."""

import unicodedata
from typing import Annotated, Literal, Self

from pydantic import Field, RootModel, model_validator
from pydantic_core import PydanticCustomError
from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import pandas_udf

from lakeloop.core.documents import Declaration
from lakeloop.ingestion.transforms.allowed import Columns, one_of
from lakeloop.ingestion.transforms.conformed import Conformed
from lakeloop.quality.row_rules.columns import value_of

WHITE_SPACE = (
    " \t\n\v\f\r\x1c\x1d\x1e\x1f\x85\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)

Form = Literal["NFC", "NFD", "NFKC", "NFKD"]
Case = Literal["lower", "upper", "title"]

# Below the first of these characters no text is changed by the form, whatever stands beside what.
FIRST_CHANGED = {"NFC": 0x300, "NFD": 0xC0, "NFKC": 0xA0, "NFKD": 0xA0}


class Trim(RootModel[Columns]):
    """`trim: [a, b]`: white space around a text goes; a text of nothing else becomes NULL."""

    model_config = {"frozen": True}

    @property
    def writes(self) -> set[str]:
        """The columns that are trimmed."""
        return set(self.root)

    def apply(self, conformed: Conformed) -> Conformed:
        """Trim the columns in place; they become text."""
        conformed.require(self.root, "trim")
        return conformed.changed({column: _trimmed(value_of(column).cast("string")) for column in self.root})


def _trimmed(text: Column) -> Column:
    # Looking for every end in a set of thirty characters is dear, and most texts begin and end with a plain one.
    is_clean = _is_plain(F.ascii(text)) & _is_plain(F.ascii(F.substring(text, -1, 1)))
    trimmed = F.btrim(text, F.lit(WHITE_SPACE))
    return F.when(is_clean, text).when(trimmed != "", trimmed)


def _is_plain(code: Column) -> Column:
    return code.between(33, 126)


class Normal(Declaration):
    """How a text is written."""

    unicode: Annotated[Form, one_of(Form, "Unicode form")] | None = None
    case: Annotated[Case, one_of(Case, "case")] | None = None
    white_space: Annotated[Literal["collapse"], one_of(Literal["collapse"], "white space")] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.unicode or self.case or self.white_space):
            raise PydanticCustomError("normal", "normalise says one of unicode, case, white_space")
        return self

    def of(self, text: Column) -> Column:
        """The text in this form. Its Unicode form is taken again after the case, which may have undone it."""
        if self.unicode:
            text = unicode_form(text, self.unicode)
        if self.white_space:
            text = F.regexp_replace(text, f"[{WHITE_SPACE}]+", " ")
        if self.case:
            text = {"lower": F.lower, "upper": F.upper, "title": F.initcap}[self.case](text)
            text = unicode_form(text, self.unicode) if self.unicode else text
        return text


class Normalise(RootModel[Annotated[dict[str, Normal], Field(min_length=1)]]):
    """`normalise: {a: {unicode: NFC, white_space: collapse, case: title}}`, in this order whatever the order in YAML.

    A run of white space becomes one blank. `title` writes the first letter of each word large and the others small; a
    word begins after a blank. NULL stays NULL, and nothing is found wrong.
    """

    model_config = {"frozen": True}

    @property
    def writes(self) -> set[str]:
        """The columns that are normalised."""
        return set(self.root)

    def apply(self, conformed: Conformed) -> Conformed:
        """Write the columns in their form, in place; they become text."""
        conformed.require(list(self.root), "normalise")
        return conformed.changed(
            {column: normal.of(value_of(column).cast("string")) for column, normal in self.root.items()}
        )


def unicode_form(text: Column, form: Form) -> Column:
    """The text in a Unicode normal form. Spark has no function for it: only texts it may change go through Python."""
    import pandas as pd  # here: it takes most of a second, which few need to wait for

    @pandas_udf("string")  # type: ignore[call-overload,untyped-decorator]
    def normalised(texts: pd.Series) -> pd.Series:
        return texts.map(lambda value: unicodedata.normalize(form, value), na_action="ignore")

    may_change = text.rlike(rf"[^\x00-\x{{{FIRST_CHANGED[form] - 1:x}}}]")
    return F.coalesce(normalised(F.when(may_change, text)), text)
