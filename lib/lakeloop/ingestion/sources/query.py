"""SQL over tables of the lake: how gold comes from silver."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import functions as F

from lakeloop.core.errors import ConfigError
from lakeloop.ingestion.source_specs import QuerySource
from lakeloop.ingestion.sources.probing import Check
from lakeloop.ingestion.sources.protocol import ORIGINAL, POSITION, RESCUED, Ended, Extract, Progress, require_names
from lakeloop.lake.ledger import Plan
from lakeloop.lake.tables import Lake


@dataclass(frozen=True)
class QueryReader:
    """Reads the query's result whenever an input has a new version or the `definition` (any text) has changed."""

    lake: Lake
    spec: QuerySource
    definition: str

    def plan(self, last: Plan | None, progress: Progress) -> Plan | None:
        """The present versions of all inputs. Raises TableError for one that does not exist."""
        versions = {table: self.lake.version(table) for table in sorted(set(self.spec.inputs.values()))}
        definition = hashlib.sha256(self.definition.encode()).hexdigest()[:12]
        details = {"versions": versions, "definition": definition}
        if last is not None and last.details == details:
            return None
        summary = ", ".join(f"{table} version {version}" for table, version in versions.items())
        progress(summary)
        return Plan(details, summary)

    def read(self, plan: Plan) -> Extract:
        """The result over the planned versions. Raises ConfigError when the query does not fit the inputs."""
        for view, table in self.spec.inputs.items():
            self.lake.read(table, plan.details["versions"][table]).createOrReplaceTempView(view)
        try:
            rows = self.lake.spark.sql(self.spec.query)
        except (AnalysisException, ParseException) as error:
            raise ConfigError(f"the query does not run: {str(error).splitlines()[0]}") from error
        require_names(rows.columns, "the query", "give it another name with AS")
        position = F.struct(F.lit("query").alias("origin"), F.lit(None).cast("bigint").alias("record"))
        nothing = F.lit(None).cast("string")
        return Extract(rows.withColumns({POSITION: position, ORIGINAL: nothing, RESCUED: nothing}))

    def probe(self) -> Iterator[Check]:
        """Look whether the inputs are there."""
        yield Check(
            "reachable", ", ".join(f"{table} version {self.lake.version(table)}" for table in self.spec.inputs.values())
        )

    def finish(self, ended: Ended) -> None:
        """Nothing is noted."""

    def release(self, plan: Plan) -> None:
        """Nothing is held."""
