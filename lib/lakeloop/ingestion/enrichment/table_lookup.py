"""Look-ups in tables of the lake: the present row of a key, or the version that held when something happened.

No row is multiplied: what is joined has one row per key, because the table was found so (present rows) or because the
versions of a key were gathered into one row (as of a time).
"""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, DateType, IntegralType, MapType, TimestampType

from lakeloop.core import logs
from lakeloop.core.documents import propose
from lakeloop.core.errors import TableError
from lakeloop.ingestion.enrichment.as_of import gather_versions, start_column, version_at
from lakeloop.ingestion.enrichment.outcomes import MATCHED, MISSING, asks, missing_finding, outcome_column, require_new
from lakeloop.ingestion.enrichment.spec import TableLookup
from lakeloop.ingestion.transforms import Conformed
from lakeloop.lake.history import VERSION_COLUMNS
from lakeloop.lake.tables import Lake
from lakeloop.quality.row_rules.columns import value_of

log = logs.get(__name__)
COMPARABLE: tuple[type[DataType] | tuple[type[DataType], ...], ...] = (IntegralType, (DateType, TimestampType))


@dataclass(frozen=True)
class PreparedTable:
    """One version of a table, checked, with one row per key: `_key_0` …, and its columns or versions in `_found`."""

    name: str
    spec: TableLookup
    rows: DataFrame
    types: dict[str, DataType]
    notes: tuple[str, ...] = ()

    def attach(self, conformed: Conformed) -> Conformed:
        """Add the columns and the outcome; where nothing matches the columns are NULL.

        A NULL in a key or in the event's time matches nothing. Raises TableError for columns of the batch that are
        missing or of another type than the table's, and for a new column that is there already.
        """
        spec, frame, step = self.spec, conformed.frame, f"lookup {self.name}"
        compared = dict(spec.on) | ({spec.as_of.event_time: start_column(spec.as_of)} if spec.as_of else {})
        conformed.require(list(compared), step)
        require_new(conformed, list(spec.columns), step)
        for ours, theirs in compared.items():
            self._require_alike(ours, frame.schema[ours].dataType, theirs)
        same = [value_of(ours) == F.col(f"_key_{index}") for index, ours in enumerate(spec.on)]
        joined = frame.join(self.rows, reduce(operator.and_, same), "left")
        if spec.as_of:
            joined = joined.withColumn("_found", version_at(F.col("_found"), value_of(spec.as_of.event_time)))
        found = F.col("_found")
        outcome = F.when(asks(conformed, compared), F.when(found.isNotNull(), MATCHED).otherwise(MISSING))
        added = {new: found[f"column_{index}"] for index, new in enumerate(spec.columns)}
        enriched = joined.withColumns({**added, outcome_column(self.name): outcome}).drop(*self.rows.columns)
        finding = missing_finding(self.name, spec.missing, list(compared), f"a row of {spec.table}")
        return Conformed(enriched, (*conformed.findings, *finding))

    def _require_alike(self, ours: str, found: DataType, theirs: str) -> None:
        wanted = self.types[theirs]
        if found == wanted or any(isinstance(found, kind) and isinstance(wanted, kind) for kind in COMPARABLE):
            return
        raise TableError(
            f"lookup {self.name}: {ours} is of type {found.simpleString()}, but {theirs} of {self.spec.table} of type "
            f"{wanted.simpleString()}; add the transform `cast: {{{ours}: {wanted.simpleString()}}}`"
        )


def prepare_table(name: str, spec: TableLookup, lake: Lake) -> PreparedTable:
    """Take the table's latest version, so that what is checked is what is joined.

    Of an SCD2 table the current rows are the present ones. Raises TableError for a table or column that does not
    exist and, unless `as_of` is declared, for keys that stand several times: which row is meant would be a guess.
    Rows of the table with a NULL in the key are left out.
    """
    version = lake.version(spec.table)
    table = lake.read(spec.table, version)
    log.info("look-up table", enrichment=name, table=spec.table, version=version)
    has_history = set(VERSION_COLUMNS) <= set(table.columns)
    if spec.as_of and spec.as_of.time is None and not has_history:
        raise TableError(
            f"lookup {name}: {spec.table} is no SCD2 table (it lacks {', '.join(VERSION_COLUMNS)}); name the column "
            "that says since when a row holds, as `as_of: {event_time: …, time: …}`"
        )
    wanted = [*spec.on.values(), *spec.columns.values(), *([start_column(spec.as_of)] if spec.as_of else [])]
    if absent := [column for column in wanted if column not in table.columns]:
        raise TableError(f"lookup {name}: no column '{absent[0]}' in {spec.table}; {propose(absent[0], table.columns)}")
    types = {field.name: field.dataType for field in table.schema}
    keys = [value_of(column).alias(f"_key_{index}") for index, column in enumerate(spec.on.values())]
    columns = [value_of(column).alias(f"column_{index}") for index, column in enumerate(spec.columns.values())]
    known = table.where(reduce(operator.and_, (value_of(column).isNotNull() for column in spec.on.values())))
    if spec.as_of:
        if maps := [column for column in spec.columns.values() if isinstance(types[column], MapType)]:
            raise TableError(f"lookup {name}: {', '.join(maps)} is a map, which has no order; as_of cannot take it")
        return PreparedTable(name, spec, gather_versions(known, spec.as_of, keys, columns), types)
    present = known.where("is_current") if has_history else known
    rows = present.select(*keys, F.struct(*columns).alias("_found"))
    _refuse_repeated(rows.drop("_found"), list(spec.on.values()), f"lookup {name}", f"{spec.table} version {version}")
    return PreparedTable(name, spec, rows, types)


def _refuse_repeated(keys: DataFrame, named: Sequence[str], step: str, place: str) -> None:
    shown = F.concat_ws(", ", *(F.col(key).cast("string") for key in keys.columns))
    repeated = keys.groupBy(*keys.columns).count().where("count > 1").select(shown.alias("value"), "count")
    found = repeated.agg(F.count("value").alias("keys"), F.min(F.struct("value", "count")).alias("first")).first()
    if found is not None and found["keys"]:
        value, times = found["first"]
        raise TableError(
            f"{step}: {found['keys']:,} values of {', '.join(named)} stand several times in {place}, as '{value}' in "
            f"{times:,} rows, and a look-up needs one row per key; name further key columns under `on`, or `as_of`"
        )
