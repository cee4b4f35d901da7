"""What becomes of a file whose columns are not those of the schema: eight cases, four modes, one pure function."""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from lakeloop.core.errors import SchemaChangedError
from lakeloop.ingestion.field_names import FIELD_NAME
from lakeloop.ingestion.schemas.columns import NESTED, Column, Found, Schema
from lakeloop.ingestion.schemas.declaration import Mode, SchemaRules
from lakeloop.ingestion.schemas.inference import fits

Case = Literal["added", "dropped", "renamed", "widened", "narrowed", "nested", "case", "reordered"]
Effect = Literal["column", "null", "text", "quarantine", "rescue", "mark", "stop", "none"]

ON_ADDED: dict[Mode, Effect] = {"evolve": "column", "freeze": "quarantine", "rescue": "rescue", "fail": "stop"}
ON_DROPPED: dict[Mode, Effect] = {"evolve": "null", "freeze": "quarantine", "rescue": "mark", "fail": "stop"}
ON_MISFIT: dict[Mode, Effect] = {"evolve": "quarantine", "freeze": "quarantine", "rescue": "rescue", "fail": "stop"}
SIMILAR = 0.6
SAYING: dict[Effect, str] = {
    "column": "it is a column from now on",
    "null": "it is NULL there",
    "text": "it is kept as its JSON text",
    "quarantine": "the rows are quarantined",
    "rescue": "the values are kept in _rescued",
    "mark": "it is NULL there and the rows are marked",
    "stop": "the run stops",
    "none": "nothing is lost by it",
}


@dataclass(frozen=True)
class Change:
    """One difference between a schema and a file.

    `found` is the other type or name; of an added or dropped column, the absent or unknown one that it may be.
    """

    case: Case
    column: str
    effect: Effect
    file: str
    found: str = ""
    known: str = ""

    @property
    def detail(self) -> str:
        """The difference in a sentence, with what becomes of it and what to declare where a rename is likely."""
        said = {
            "added": f"{self.file} has a column '{self.column}' that the schema does not know",
            "dropped": f"{self.file} has no column '{self.column}'",
            "renamed": f"{self.file} calls the column '{self.column}' '{self.found}', as declared",
            "widened": f"{self.file} has '{self.column}' as {self.found}, which does not fit into {self.known}",
            "narrowed": f"{self.file} has '{self.column}' as {self.found}, which fits into {self.known}",
            "nested": f"{self.file} holds objects or lists in '{self.column}', which is {_a(self.known)} column",
            "case": f"{self.file} writes '{self.column}' as '{self.found}'",
            "reordered": f"{self.file} has the columns in another order",
        }[self.case]
        return f"{said}; {SAYING[self.effect]}{self._proposal}"

    @property
    def _proposal(self) -> str:
        if not self.found or self.case not in ("added", "dropped"):
            return ""
        known, new = (self.found, self.column) if self.case == "added" else (self.column, self.found)
        return f"; {propose_rename(known, new)}"


def decide(schema: Schema, found: Found, rules: SchemaRules) -> tuple[Change, ...]:
    """Every difference between a file and the schema, with its effect; none for a file of just these columns.

    An order of JSON keys and a key that is absent from some records are no differences. A type that was not looked
    into is none either.
    """
    matched = match(schema.columns, found.names, rules)
    unknown = [name for name in found.names if name not in matched.values()]
    if not found.for_all_rows:  # each record writes its own keys, one in this case and one in that
        cases = {known.lower() for known in matched}
        unknown = [name for name in unknown if name.lower() not in cases]
    absent = [column.name for column in schema.columns if column.name not in matched] if found.is_whole else []
    pairs = likely_renames(schema, found, absent, unknown)
    known_of = {new: known for known, new in pairs.items()}
    changes = [Change("added", name, _on_added(name, rules), found.file, known_of.get(name, "")) for name in unknown]
    changes += [
        Change("dropped", name, _on_dropped(name, found, rules), found.file, pairs.get(name, "")) for name in absent
    ]
    changes += [
        Change("case" if known.lower() == name.lower() else "renamed", known, "none", found.file, name)
        for known, name in matched.items()
        if known != name
    ]
    for column in schema.columns:
        if column.name in matched and column.type and (type_ := found.types.get(matched[column.name])):
            changes += _on_type(column.name, column.type, type_, found.file, rules)
    places = [found.names.index(matched[column.name]) for column in schema.columns if column.name in matched]
    if found.for_all_rows and places != sorted(places):
        changes.append(Change("reordered", "", "none", found.file))
    return tuple(changes)


def match(columns: Sequence[Column], names: Sequence[str], rules: SchemaRules) -> dict[str, str]:
    """The name in a file of each column that it has: the same, else the same but for case, else the declared one."""
    by_case = {name.lower(): name for name in names}
    matched: dict[str, str] = {}
    for column in columns:
        in_file = column.name if column.name in names else by_case.get(column.name.lower())
        if in_file is None and column.name in rules.renames:
            in_file = by_case.get(rules.renames[column.name].lower())
        if in_file is not None:
            matched[column.name] = in_file
    return matched


def likely_renames(schema: Schema, found: Found, absent: Sequence[str], unknown: Sequence[str]) -> dict[str, str]:
    """The unknown column that an absent one may have become: of a similar name or at its place, of no other type."""
    pairs: dict[str, str] = {}
    for name in absent:
        column = schema.column(name)
        same_type = [
            other
            for other in unknown
            if other not in pairs.values()
            and (not column or not column.type or found.types.get(other, column.type) == column.type)
        ]
        place = schema.names.index(name)
        at_place = [other for other in same_type if found.for_all_rows and found.names.index(other) == place]
        similar = difflib.get_close_matches(name.lower(), [other.lower() for other in same_type], 1, SIMILAR)
        by_name = [other for other in same_type if other.lower() in similar]
        if candidates := by_name or at_place:
            pairs[name] = candidates[0]
    return pairs


def propose_rename(known: str, new: str) -> str:
    """What to declare if one column is another one by a new name."""
    return f"if '{new}' is the new name of '{known}', declare renames: {{{known}: {new}}}"


def refuse(changes: Iterable[Change]) -> None:
    """Raise SchemaChangedError for what is declared to stop the run."""
    if stops := [change.detail for change in changes if change.effect == "stop"]:
        raise SchemaChangedError(
            f"{'; '.join(stops[:3])}. Nothing was read: mend the source, or declare the column under fields, or "
            "another evolution than fail for it"
        )


def _on_added(name: str, rules: SchemaRules) -> Effect:
    effect = ON_ADDED[rules.mode_of_new(name)]
    return "rescue" if effect == "column" and not re.fullmatch(FIELD_NAME, name) else effect


def _on_dropped(name: str, found: Found, rules: SchemaRules) -> Effect:
    # Of records with keys of their own, one that lacks a key has no value there unless something is declared.
    is_held = found.for_all_rows or rules.is_declared(name)
    return ON_DROPPED[rules.mode_of_known(name)] if is_held else "null"


def _on_type(column: str, known: str, found: str, file: str, rules: SchemaRules) -> list[Change]:
    if found == known or (known == "string" and found != NESTED):
        return []
    if found == NESTED:
        effect: Effect = "text" if known == "string" else ON_MISFIT[rules.mode_of_known(column)]
        return [Change("nested", column, effect, file, found, known)]
    if fits(found, known):
        return [Change("narrowed", column, "none", file, found, known)]
    return [Change("widened", column, ON_MISFIT[rules.mode_of_known(column)], file, found, known)]


def _a(noun: str) -> str:
    return f"{'an' if noun[:1] in 'aeiou' else 'a'} {noun}"
