"""Which tables, at which versions and under which rules, a table was made of."""

from lakeloop.core.config import Project
from lakeloop.ingestion.source_specs import LakeSource
from lakeloop.lake.ledger import Ledger
from lakeloop.quality import rules_version
from lakeloop.verbs.declared import declared


def origins_of(project: Project, table: str, version: int) -> tuple[dict[str, int], dict[str, str]]:
    """(Versions by table, rule-set versions by pipeline) of a table and of all that it was made of.

    Versions are those that the last batch of a query read; what only follows the growth of its tables reads no one
    version of them. Rule sets are those that are declared now.
    """
    writers = {target.table: spec for spec in declared(project) for target in spec.targets}
    ledger, tables, rules = Ledger(project.lake_root), {table: version}, dict[str, str]()
    ahead = [table]
    while ahead:
        spec = writers.get(ahead.pop())
        if spec is None or spec.pipeline in rules:
            continue
        rules[spec.pipeline] = rules_version(spec.all_rules)
        finished = ledger.history(spec.pipeline).finished
        read: dict[str, int] = finished.details.get("versions", {}) if finished else {}
        tables |= {name: number for name, number in read.items() if name not in tables}
        ahead += spec.source.data_sets if isinstance(spec.source, LakeSource) else ()
    return tables, rules
