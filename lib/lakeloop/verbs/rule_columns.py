"""Whether the columns that rules name will be there, as far as declarations and records tell."""

from collections.abc import Iterator

from lakeloop.catalog.lineage import columns_after
from lakeloop.core.config import Project
from lakeloop.core.documents import Document, Path_, propose
from lakeloop.ingestion.source_specs import LakeSource
from lakeloop.ingestion.spec import PipelineSpec, load_pipeline
from lakeloop.lake.open_tables import open_table
from lakeloop.lake.ops_tables import has_table


def rule_column_problems(project: Project) -> Iterator[str]:
    """A sentence, with file and line, for each column that a rule names and no row will have.

    Only where the source declares what arrives; of another one the run says it. Raises ConfigError for a declaration
    that is not valid.
    """
    for name in project.names("pipelines"):
        spec, document = load_pipeline(project, name), project.document("pipelines", name)
        known = _known(project, spec)
        if not known:
            continue
        there = {column.lower() for column in known}
        for place, rule in zip(_places(document), spec.rules, strict=True):
            for column in rule.reads:
                if column.lower() not in there and not column.startswith("_"):
                    yield (
                        f"{document.place(place)}: rule {rule.name}: no column '{column}' arrives or is made; declare "
                        f"it in the source, or name another one. {propose(column, known)}"
                    )


def _known(project: Project, spec: PipelineSpec) -> list[str]:
    if isinstance(spec.source, LakeSource) or not spec.source.arriving:
        return []
    known = columns_after(list(spec.source.arriving), spec)
    if has_table(project.lake_root, spec.record_table):
        recorded = open_table(project.lake_root, spec.record_table).schema
        known += [field.name for field in recorded if not field.name.startswith("_")]
    return list(dict.fromkeys(known))


def _places(document: Document) -> Iterator[Path_]:
    """Where each rule stands, in the order in which a pipeline has them."""
    for at, entry in enumerate(document.values.get("rules", ())):
        if isinstance(entry, dict) and list(entry) == ["when"]:
            yield from (("rules", at, "when", "rules", nth) for nth in range(len(entry["when"]["rules"])))
        else:
            yield ("rules", at)
