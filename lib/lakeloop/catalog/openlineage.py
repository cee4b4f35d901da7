"""What a run did, as OpenLineage's events (https://openlineage.io/docs/spec/object-model), for catalogs to collect.

A pair of events a batch: START, and COMPLETE or FAIL. They name the systems that were read, the record and
the tables that were written, their columns and rows and violated rules, and what each column is made of.
"""

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import (
    DatasetFacet,
    JobFacet,
    OutputDatasetFacet,
    RunFacet,
    documentation_job,
    error_message_run,
    job_type_job,
    test_run,
)
from openlineage.client.facet_v2 import column_lineage_dataset as column_lineage
from openlineage.client.facet_v2 import documentation_dataset as documentation
from openlineage.client.facet_v2 import output_statistics_output_dataset as statistics
from openlineage.client.facet_v2 import ownership_dataset as ownership
from openlineage.client.facet_v2 import schema_dataset as schema
from openlineage.client.facet_v2 import tags_dataset as tagging
from openlineage.client.transport.transport import Transport

from lakeloop import __version__
from lakeloop.catalog.addresses import Address
from lakeloop.catalog.datasets import Catalog, DataSet
from lakeloop.catalog.lineage import ALL, Field, Flow
from lakeloop.core.errors import DeliveryError
from lakeloop.core.run_record import now
from lakeloop.lake.ledger import RunEntry
from lakeloop.lake.ops_tables import read_rows
from lakeloop.lake.rule_results import RULE_RESULTS

PRODUCER = f"https://pypi.org/project/lakeloop/{__version__}"


@dataclass(frozen=True)
class Emitter:
    """Sends the events of a project; `root` is its lake, `namespace` the one of its jobs."""

    catalog: Catalog
    addresses: Mapping[str, Address]
    root: str
    namespace: str
    transport: Transport

    def emit(self, run_id: str, entry: RunEntry, polls: bool) -> None:
        """Send how a pipeline ended. Raises DeliveryError when that cannot be delivered."""
        client = OpenLineageClient(transport=self.transport)
        try:
            for event in self.events(run_id, entry, polls):
                client.emit(event)
        except (OSError, RuntimeError) as error:
            raise DeliveryError(f"{entry.name}: its lineage was not delivered: {error}") from error

    def events(self, run_id: str, entry: RunEntry, polls: bool) -> tuple[RunEvent, RunEvent]:
        """START, and by the entry's outcome COMPLETE or FAIL. Each batch is a run of its own."""
        tables = [
            each for each in self.catalog.data_sets.values() if (each.pipeline, each.kind) == (entry.name, "table")
        ]
        record = self.catalog.data_set(tables[0].made_of[0])
        unique = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.root}/{run_id}/{entry.name}/{entry.batch_id}"))
        job = Job(self.namespace, entry.name, _job_facets(tables, polls))
        inputs = [InputDataset(*self.addresses[name], facets=self._facets(name)) for name in record.made_of]
        failed, run_facets = entry.outcome != "succeeded", dict[str, RunFacet]()
        if failed:
            run_facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(entry.message, "python")
        else:
            run_facets["test"] = self._rules(run_id, entry)
        return (
            RunEvent(
                eventTime=_text(entry.started_at), producer=PRODUCER, run=Run(unique), job=job,
                eventType=RunState.START, inputs=inputs,
            ),
            RunEvent(
                eventTime=_text(now()), producer=PRODUCER, run=Run(unique, run_facets), job=job,
                eventType=RunState.FAIL if failed else RunState.COMPLETE, inputs=inputs,
                outputs=[] if failed else self._outputs(record, tables, entry),
            ),
        )  # fmt: skip

    def _outputs(self, record: DataSet, tables: Sequence[DataSet], entry: RunEntry) -> list[OutputDataset]:
        outputs = []
        good = {each.name: entry.by_table.get(each.name, entry.counts.good) for each in tables}
        for each, rows in ((record, entry.counts.read), *((each, good[each.name]) for each in tables)):
            facets = self._facets(each.name) | {"columnLineage": self._lineage(each)}
            counted: dict[str, OutputDatasetFacet] = {
                "outputStatistics": statistics.OutputStatisticsOutputDatasetFacet(rowCount=rows)
            }
            outputs.append(OutputDataset(*self.addresses[each.name], counted, facets=facets))
        return outputs

    def _facets(self, name: str) -> dict[str, DatasetFacet]:
        each = self.catalog.data_set(name)
        columns = [schema.SchemaDatasetFacetFields(c.name, c.type or None, c.description or None) for c in each.columns]
        tags = [tagging.TagsDatasetFacetFields(tag, "true", "lakeloop") for tag in each.tags]
        tags += [
            tagging.TagsDatasetFacetFields(tag, "true", "lakeloop", c.name) for c in each.columns for tag in c.tags
        ]
        facets: dict[str, DatasetFacet] = {
            "schema": schema.SchemaDatasetFacet(columns),
            "documentation": documentation.DocumentationDatasetFacet(each.description),
        }
        if each.owner:
            facets["ownership"] = ownership.OwnershipDatasetFacet([ownership.Owner(each.owner, "OWNER")])
        if tags:
            facets["tags"] = tagging.TagsDatasetFacet(tags)
        return facets

    def _lineage(self, data_set: DataSet) -> column_lineage.ColumnLineageDatasetFacet:
        """What columns are made of outside the job: those of the table by way of the record."""
        fields = {}
        for column in data_set.columns:
            inputs = [self._input(flow) for flow in self._from_outside(Field(data_set.name, column.name))]
            if inputs:
                fields[column.name] = column_lineage.Fields(inputs)
        return column_lineage.ColumnLineageDatasetFacet(fields)

    def _from_outside(self, field: Field) -> list[Flow]:
        flows: list[Flow] = []
        for flow in self.catalog.into.get(field, ()):
            if self.catalog.data_set(flow.source.data_set).kind == "record":
                flows += [each._replace(by=each.by + flow.by) for each in self._from_outside(flow.source)]
            else:
                flows.append(flow)
        return flows

    def _input(self, flow: Flow) -> column_lineage.InputField:
        subtype = "JOIN" if not flow.direct else "TRANSFORMATION" if flow.by else "IDENTITY"
        how = column_lineage.Transformation(
            "DIRECT" if flow.direct else "INDIRECT", subtype, ", ".join(flow.by) or None
        )
        column = flow.source.column if flow.source.column != ALL else "*"
        return column_lineage.InputField(*self.addresses[flow.source.data_set], column, [how])

    def _rules(self, run_id: str, entry: RunEntry) -> test_run.TestRunFacet:
        of_batch = [("run_id", "=", run_id), ("pipeline", "=", entry.name), ("batch_id", "=", entry.batch_id)]
        return test_run.TestRunFacet([
            test_run.TestExecution(
                row["rule"], "fail" if row["violations"] else "pass", "warn" if row["severity"] == "warn" else "error",
                actual=str(row["violations"]),
            )
            for row in sorted(read_rows(self.root, RULE_RESULTS, of_batch), key=lambda row: row["rule"])
        ])  # fmt: skip


def _job_facets(tables: Sequence[DataSet], polls: bool) -> dict[str, JobFacet]:
    kind = "STREAMING" if polls else "BATCH"
    return {
        "documentation": documentation_job.DocumentationJobFacet("; ".join(each.description for each in tables)),
        "jobType": job_type_job.JobTypeJobFacet(kind, "LAKELOOP", "PIPELINE"),
    }


def _text(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
