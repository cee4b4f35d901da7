"""One JSON object per record, in Spark's own expressions, each read once by the names that are declared.

Nearly all records are plain: one object of declared names, each once. Spark's parser for named fields gives their
values, and counts of colons and braces tell that nothing else stands in the text: a colon that is in no value parts a
name from its value, so as many of them as there are values leave none for a name that is repeated or not declared. Only
the other records are taken apart key by key, which costs many times as much and says what is wrong with them.
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakeloop.ingestion.sources.headers import CORRUPT
from lakeloop.quality.rules import quoted

PLAIN, FAST, CAREFUL = "_plain", "_fast", "_careful"
STRICT = {"allowSingleQuotes": "false", "allowNonNumericNumbers": "false"}  # as the parser for documents reads
# An escaped half of a surrogate pair without its other half; `\\\\` before it would be a backslash and plain letters.
BEGINS = r"(?<!\\)(?:\\\\)*+\\u[dD]"
HALF_A_PAIR = (
    rf"{BEGINS}[89abAB][0-9a-fA-F]{{2}}(?!\\u[dD][c-fC-F])"
    rf"|(?<!\\u[dD][89abAB][0-9a-fA-F]{{2}}){BEGINS}[c-fC-F]"
)
# Escapes that would hide a colon (003a) or a brace (007d) from the counts, or may be half a pair.
HIDING = ("\\u003", "\\u007", "\\ud", "\\uD")
UTF_8_ERROR = "the text is not valid UTF-8"


@dataclass(frozen=True)
class Objects:
    """Reads the fields `declared` out of texts that are JSON objects; `aliases` are further keys of a field.

    With `is_utf8` no text has bytes that are not UTF-8, so that none is looked through for them.
    """

    declared: tuple[str, ...]
    aliases: Mapping[str, Sequence[str]] = field(default_factory=dict)
    is_utf8: bool = False

    def read(self, lines: DataFrame, text: str) -> DataFrame:
        """The lines with `_plain`, `_fast` and `_careful`, which the columns below look into."""
        schema = ", ".join(f"{quoted(name)} STRING" for name in [*self._names, CORRUPT])
        options = {**STRICT, "mode": "PERMISSIVE", "columnNameOfCorruptRecord": CORRUPT}
        return (
            lines.withColumn(FAST, F.from_json(text, schema, options))
            .withColumn(PLAIN, F.coalesce(self._is_plain(F.col(text)), F.lit(False)))
            .withColumn(CAREFUL, F.when(~F.col(PLAIN), self._taken_apart(F.col(text))))
        )

    @property
    def values(self) -> dict[str, Column]:
        """The value of each field; NULL for null and for a key that is absent."""
        plain = F.col(PLAIN)
        return {
            name: F.when(plain, F.coalesce(*map(_fast, self._read_as(name)))).otherwise(
                F.col(CAREFUL)[f"value_{place}"]
            )
            for place, name in enumerate(self.declared)
        }

    @property
    def rescued(self) -> Column:
        """The keys that are not declared, as JSON."""
        return F.col(CAREFUL)["rescued"]

    @property
    def malformed(self) -> Column:
        """What is wrong with a record."""
        return F.col(CAREFUL)["malformed"]

    def _others(self, name: str) -> list[str]:
        """The aliases of a field, without those that are fields themselves."""
        return [other for other in self.aliases.get(name, ()) if other not in self.declared]

    @cached_property
    def _names(self) -> list[str]:
        """What is looked for in plain records: of names that differ by case alone, which Spark confuses, the first."""
        found: dict[str, str] = {}
        for name in (*self.declared, *(other for each in self.declared for other in self._others(each))):
            if name != CORRUPT:
                found.setdefault(name.lower(), name)
        return list(found.values())

    def _read_as(self, name: str) -> list[str]:
        return [name, *(other for other in self._others(name) if other in self._names)]

    def _is_plain(self, text: Column) -> Column:
        inside = F.concat_ws("", *map(_fast, self._names))
        known = _given(self._names)
        colons = [F.when(_fast(name).isNotNull(), name.count(":")).otherwise(0) for name in self._names if ":" in name]
        pairs = reduce(operator.sub, colons, _count_of(":", text) - _count_of(":", inside))
        written_null = [
            F.when(_fast(name).isNull() & F.rlike(text, F.lit(rf'"{re.escape(name)}"\s*:\s*null')), 1).otherwise(0)
            for name in self.declared
        ]
        has_aliases = any(map(self._others, self.declared))
        # An object inside of another might hold the null, and an alias counts only where the field is absent.
        nulls = F.lit(False) if has_aliases else (_count_of("{", text) == 1) & ~F.contains(text, F.lit("\\"))
        hiding = reduce(operator.or_, (F.contains(text, F.lit(each)) for each in HIDING))
        one_of_each = [_given(self._read_as(name)) <= 1 for name in self.declared if len(self._read_as(name)) > 1]
        return (
            _fast(CORRUPT).isNull()
            & F.startswith(text, F.lit("{"))
            & _ends_as_object(text)
            & (_count_of("}", text) - _count_of("}", inside) == 1)
            & F.when(pairs == known, True).otherwise(nulls & (pairs == reduce(operator.add, written_null, known)))
            & reduce(operator.and_, one_of_each, F.lit(True))
            # Spark writes a number so that no double holds, and a replacement for bytes that are not UTF-8.
            & ~F.contains(inside, F.lit("Infinity"))
            & ~F.contains(inside, F.lit("\ufffd"))
            & ~(F.contains(text, F.lit("\\u")) & hiding)
        )

    def _taken_apart(self, text: Column) -> Column:
        """A struct of `value_<place>`, `rescued` and `malformed`."""
        # As the only element of an array: Spark reads an object and ignores what follows it.
        alone = F.from_json(F.concat(F.lit("["), text, F.lit("]")), "array<map<string,string>>", STRICT)
        is_object = _ends_as_object(text)

        def of_array(objects: Column) -> Column:
            return _let(
                F.when(is_object & (F.size(objects) == 1), F.get(objects, F.lit(0))),
                lambda found: _let(F.map_keys(found), lambda keys: self._of_map(text, found, keys)),
            )

        return _let(alone, of_array)

    def _of_map(self, text: Column, found: Column, keys: Column) -> Column:
        values, expected = [], [F.lit(name) for name in self.declared]
        for name in self.declared:
            value, earlier = F.try_element_at(found, F.lit(name)), [name]
            for alias in self._others(name):
                # An alias counts only in an object that lacks the field, else it is a key of its own.
                has_none = ~F.arrays_overlap(keys, F.array(*map(F.lit, earlier)))
                value = F.coalesce(value, F.when(has_none, F.try_element_at(found, F.lit(alias))))
                expected.append(F.when(has_none, F.lit(alias)))
                earlier.append(alias)
            values.append(value)
        is_expected = F.array_compact(F.array(*expected))
        undeclared = F.map_filter(found, lambda key, _: ~F.array_contains(is_expected, key))
        # Spark writes a number so that no double holds, and half a surrogate pair as a question mark.
        infinite = reduce(operator.or_, (F.contains(value, F.lit("Infinity")) for value in values))
        halves = F.contains(text, F.lit("\\u")) & text.rlike(HALF_A_PAIR)
        not_utf8 = F.lit(False) if self.is_utf8 else decoded(text) != text
        malformed = (
            F.when(not_utf8, F.lit(UTF_8_ERROR))
            .when(halves, F.lit("the text holds half a surrogate pair, which is no character"))
            .when(found.isNull(), F.lit("the text is not one JSON object"))
            .when(F.size(F.array_distinct(keys)) < F.size(keys), F.lit("a key stands twice in the object"))
            .when(infinite & ~F.contains(text, F.lit("Infinity")), F.lit("a number is too large for a double"))
        )
        return F.struct(
            *(value.alias(f"value_{place}") for place, value in enumerate(values)),
            F.when(F.size(undeclared) > 0, F.to_json(undeclared)).alias("rescued"),
            malformed.alias("malformed"),
        )


def decoded(text: Column) -> Column:
    """A text as UTF-8; bytes that are none are replaced, so that it is equal to itself only where there are none."""
    return F.decode(text.cast("binary"), "UTF-8")


def _ends_as_object(text: Column) -> Column:
    brace = F.lit("}")
    return F.endswith(text, brace) | F.endswith(F.regexp_replace(text, r"[ \t\r\n]+\z", ""), brace)


def _fast(name: str) -> Column:
    return F.col(f"{FAST}.{quoted(name)}")


def _given(names: Sequence[str]) -> Column:
    """How many of these names have a value."""
    return reduce(operator.add, (F.when(_fast(name).isNotNull(), 1).otherwise(0) for name in names))


def _let(value: Column, body: Callable[[Column], Column]) -> Column:
    """The body of a value that is computed once, whatever the body does with it."""
    return F.get(F.transform(F.array(value), body), F.lit(0))


def _count_of(character: str, text: Column) -> Column:
    return F.octet_length(text) - F.octet_length(F.replace(text, F.lit(character), F.lit("")))
