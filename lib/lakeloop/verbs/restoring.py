"""Put back what a model was made of: its table of features, and the rule sets of the pipelines that made it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from lakeloop.core.config import Project
from lakeloop.core.errors import ConfigError, TableError
from lakeloop.ingestion.spec import load_pipeline
from lakeloop.lake.ops_tables import has_table, uri_of
from lakeloop.lake.rule_sets import put_rule_set, rule_set
from lakeloop.quality import rules_version


@dataclass(frozen=True)
class Restored:
    """What came back: `table` says which version of which table, `files` have old rule sets."""

    table: str = ""
    files: tuple[Path, ...] = ()


def keep_rules(project: Project, pipelines: Mapping[str, str]) -> None:
    """Keep the declared rules of pipelines, given by name with the versions of their rule sets."""
    for name, version in pipelines.items():
        put_rule_set(project.lake_root, version, _declared(project, name))


def restore_rules(project: Project, wanted: Mapping[str, str]) -> tuple[Path, ...]:
    """Declare old rule sets again, in the overlay of the environment, where they are not declared any more.

    A file of the overlay that is there already is nobody's to overwrite, and a rule set whose version depends on more
    than its `rules`, such as merge keys that have changed since, cannot come back alone: ConfigError, and no file is
    changed.
    """
    changed = {
        name: version
        for name, version in wanted.items()
        if rules_version(load_pipeline(project, name).all_rules) != version
    }
    kept = {name: rule_set(project.lake_root, version) for name, version in changed.items()}
    files = {name: project.folder / project.environment / "pipelines" / f"{name}.yml" for name in changed}
    if taken := [str(file) for file in files.values() if file.exists()]:
        raise ConfigError(f"{', '.join(taken)} is there already; put the kept rules into it by hand, or move it away")
    try:
        for name, file in files.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(yaml.safe_dump({"rules": kept[name]}, sort_keys=False, allow_unicode=True))
            if (
                rules_version(load_pipeline(Project(project.folder, project.environment), name).all_rules)
                != wanted[name]
            ):
                raise ConfigError(
                    f"the rules of {name} are not all of its rule set {wanted[name]}: something else that makes rules, "
                    "such as its merge keys, has changed since; restore its file from version control"
                )
    except ConfigError:
        for file in files.values():
            file.unlink(missing_ok=True)
        raise
    return tuple(files.values())


def restore_table(root: str, table: str, versions: Mapping[str, int]) -> str:
    """Give a table the rows of the version that is named for it, as a new version; says what was done.

    Raises TableError where that version's files are gone, or the table is a view.
    """
    wanted = versions.get(table)
    if wanted is None or not has_table(root, table):
        raise TableError(f"{table} cannot be restored: the ledger names no version of it, or it is a view of another")
    delta = DeltaTable(uri_of(root, table))
    if delta.version() == wanted:
        return f"{table} is at version {wanted} already"
    try:
        delta.restore(wanted)
    except DeltaError as error:
        said = str(error).splitlines()[0]
        raise TableError(f"{table} has no version {wanted} any more, its files were cleaned up: {said}") from error
    return f"{table} has the rows of version {wanted} again, as version {delta.version()}"


def _declared(project: Project, name: str) -> Sequence[object]:
    values = project.document("pipelines", name).values
    rules: Sequence[object] = values.get("rules", [])
    return rules
