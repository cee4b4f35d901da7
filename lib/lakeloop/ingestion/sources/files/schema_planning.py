"""The schema of the next batch: the latest version, a new declaration, or what the first files have; its changes."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from lakeloop.core.errors import SourceError
from lakeloop.core.run_record import RunContext
from lakeloop.ingestion.schemas.columns import NESTED, Column, Found, PlannedSchema, Schema
from lakeloop.ingestion.schemas.decision import Change, decide, match, refuse
from lakeloop.ingestion.schemas.declaration import Fields, SchemaRules
from lakeloop.ingestion.schemas.inference import join_types
from lakeloop.ingestion.source_specs.files import FilesSource
from lakeloop.ingestion.sources.files.inspection import Inspected
from lakeloop.ingestion.sources.files.looking import Looker
from lakeloop.ingestion.sources.protocol import require_names
from lakeloop.lake.schema_versions import SchemaVersion, SchemaVersions

Changes = list[tuple[str, str, str]]
OF_TYPES = ("narrowed", "widened", "nested")


class SchemaDeclaration(Protocol):
    """What a source declares of its columns."""

    @property
    def fields(self) -> Fields | None:
        """Names, or names with types; None: what comes first decides."""
        ...

    @property
    def schema_rules(self) -> SchemaRules:
        """What becomes of a difference."""
        ...


@dataclass(frozen=True)
class SchemaPlanner:
    """Plans the schema of the batches of one source. `texts` are columns that transforms want as they come."""

    spec: SchemaDeclaration
    versions: SchemaVersions
    texts: Collection[str] = ()

    def plan(self, files: Sequence[Inspected]) -> PlannedSchema:
        """The schema by which the files are read.

        Raises SchemaChangedError for a difference that is declared to stop the run, SourceError where no file names a
        column that a schema could be inferred from.
        """
        assert isinstance(self.spec, FilesSource)
        values = self.latest() is None or "evolve" in self.spec.schema_rules.modes_of_new
        return self.plan_found(Looker(self.spec, values=values).look(files))

    def plan_found(self, found: Sequence[Found]) -> PlannedSchema:
        """The schema by which sources with these columns are read; raises as `plan` does."""
        rules = self.spec.schema_rules
        schema, changes = self._known()
        new = [] if schema is None or schema.version in {v.version for v in self.versions.all()} else [schema]
        if schema is None:
            schema = self._inferred(found)
            new = [schema]
        before, differences, grown_by = schema, [], None
        for each in found:
            decided = [c for c in decide(schema, each, rules) if c.case != "dropped" or before.column(c.column)]
            differences += decided
            added = tuple(self._column(c.column, each, schema) for c in decided if c.effect == "column")
            if added:
                schema = before.grown((*schema.columns[len(before.columns) :], *added), grown_by or each.file)
                grown_by = schema.file
        refuse(differences)
        if schema is not before:
            new.append(schema)
        was_inferred = new[:1] == [before] and before.origin == "inferred"
        changes += _recorded(differences, ("reordered", *(OF_TYPES if was_inferred else ())))
        proposals = {c.column: c.found for c in differences if c.case == "dropped" and c.found}
        return PlannedSchema(
            schema, tuple(new), self._aliases(schema, found), self._lacks(schema, found), proposals, tuple(changes)
        )

    def latest(self) -> Schema | None:
        """The latest version, None where nothing says the columns yet."""
        return self._known()[0]

    def current(self) -> PlannedSchema:
        """The schema of today, for rows that have been read before. Raises SourceError where there is none yet."""
        schema, changes = self._known()
        if schema is None:
            raise SourceError("no schema is known yet; run the pipeline first")
        new = () if schema.version in {version.version for version in self.versions.all()} else (schema,)
        return PlannedSchema(schema, new, self._aliases(schema, ()), changes=tuple(changes))

    def record(self, planned: PlannedSchema, run: RunContext) -> None:
        """Enter the versions that a batch began and what changed; doing it again changes nothing."""
        new = [
            SchemaVersion(each.version, each.origin, tuple((c.name, c.type) for c in each.columns), each.file)
            for each in planned.new
        ]
        self.versions.record(run, planned.schema.version, new, planned.changes)

    def _known(self) -> tuple[Schema | None, Changes]:
        """The latest version, or the declaration where that has changed since; None where nothing says the columns."""
        recorded = [schema_of(version) for version in self.versions.all()]
        latest = recorded[-1] if recorded else None
        if self.spec.fields is None:
            return latest, []
        types = self.spec.fields if isinstance(self.spec.fields, Mapping) else dict.fromkeys(self.spec.fields)
        columns = tuple(Column(name, type_) for name, type_ in types.items())
        declared = [each for each in recorded if each.origin == "declared"]
        if declared and declared[-1].columns == columns:
            return latest, []
        schema = Schema(latest.version + 1 if latest else 1, "declared", columns)
        return schema, _redeclared(latest, schema) if latest else []

    def _inferred(self, found: Sequence[Found]) -> Schema:
        """All names in the order of their first appearance; a cell of a header without a name is no column."""
        known_as = {new.lower(): known for known, new in self.spec.schema_rules.renames.items()}
        usable: dict[str, str] = {}
        for each in found:
            for name in (known_as.get(name.lower(), name) for name in each.names):
                if not name.startswith("_") and name.lower() not in {other.lower() for other in usable}:
                    usable[name] = each.file
        if not usable:
            raise SourceError("no new file names a column, so no schema can be inferred; declare fields: [names]")
        for name, file in usable.items():
            require_names([name], file, f"declare renames: {{a_name: '{name}'}} under schema")
        columns = [Column(name, self._joined(name, found)) for name in usable]
        return Schema(1, "inferred", tuple(columns), found[0].file)

    def _joined(self, name: str, found: Sequence[Found]) -> str | None:
        types = []
        for each in found:
            in_file = match([Column(name)], each.names, self.spec.schema_rules).get(name)
            if in_file is not None and in_file in each.types:
                types.append(_declarable(each, each.types[in_file]))
        if name in self.texts or None in types:
            return None
        return join_types(type_ for type_ in types if type_)

    def _column(self, name: str, found: Found, schema: Schema) -> Column:
        """A column that comes in: with a type where the others have one."""
        if name in self.texts or not any(column.type for column in schema.columns):
            return Column(name)
        return Column(name, _declarable(found, found.types.get(name, "string")))

    def _aliases(self, schema: Schema, found: Sequence[Found]) -> dict[str, tuple[str, ...]]:
        """Declared new names, and other cases in files whose names are not those of a header."""
        others: dict[str, dict[str, None]] = {
            column: {new: None} for column, new in self.spec.schema_rules.renames.items() if column in schema.names
        }
        for each in found:
            for known, name in match(schema.columns, each.names, self.spec.schema_rules).items():
                cases = [other for other in each.names if other.lower() == known.lower()]
                for other in () if each.for_all_rows else (name, *cases):
                    if other != known:
                        others.setdefault(known, {})[other] = None
        return {column: tuple(names) for column, names in others.items()}

    def _lacks(self, schema: Schema, found: Sequence[Found]) -> dict[str, tuple[str, ...]]:
        rules, lacks = self.spec.schema_rules, {}
        for each in found:
            matched = match(schema.columns, each.names, rules)
            # Of records with keys of their own, one that lacks a key has no value there unless something is declared.
            strict = [n for n in schema.names if rules.is_declared(n) and rules.mode_of_known(n) != "evolve"]
            absent = [name for name in strict if name not in matched]
            if absent and not each.for_all_rows:
                lacks[each.file] = tuple(absent)
        return lacks


def schema_of(version: SchemaVersion) -> Schema:
    """A recorded version as the schema that it was."""
    columns = tuple(Column(name, type_) for name, type_ in version.columns)
    return Schema(version.version, version.origin, columns, version.file)  # type: ignore[arg-type]  # it was one of them


def _declarable(found: Found, type_: str) -> str | None:
    """The type of a column of such a file: what is nested is text in text, and in other files stays as it is."""
    if found.is_typed:
        return None if type_ in ("", NESTED) else type_
    return "string" if type_ == NESTED else type_


def _redeclared(before: Schema, after: Schema) -> Changes:
    changes = [("added", name, "declared under fields") for name in after.names if not before.column(name)]
    changes += [("dropped", name, "no longer declared under fields") for name in before.names if not after.column(name)]
    for column in after.columns:
        old = before.column(column.name)
        if old is not None and old.type != column.type:
            detail = f"declared as {column.type or 'it comes'}, before {old.type or 'as it comes'}"
            changes.append(("retyped", column.name, detail))
    return changes


def _recorded(differences: Sequence[Change], left_out: Collection[str]) -> Changes:
    """The changes that are worth a line, each once."""
    once: dict[tuple[str, str], str] = {}
    for change in differences:
        if change.case not in left_out:
            once.setdefault((change.case, change.column), change.detail)
    return [(case, column, detail) for (case, column), detail in once.items()]
