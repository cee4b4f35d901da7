"""Who answers for a model: put a version in a role through the gates, take it back, and look at who it was when."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, get_args

from lakeloop.core.config import Project
from lakeloop.core.errors import ModelError, PromotionRefusedError, StorageError
from lakeloop.core.run_record import RunContext
from lakeloop.lake.champions import (
    Gate,
    Role,
    Switch,
    append_switch,
    fetch_release,
    holder,
    put_release,
    switches,
)
from lakeloop.lake.open_tables import column_types, open_table
from lakeloop.monitoring.incidents import open_incidents
from lakeloop.scoring.release import digest_of
from lakeloop.verbs.gates import champion_gate, incidents_gate, parity_gate, release_gates, slices_gate
from lakeloop.verbs.progress import Progress, silent

if TYPE_CHECKING:
    from lakeloop.registry import Champion, ModelRegistry, Registered
    from lakeloop.training.comparison.beside import Gain
    from lakeloop.training.spec.model import ModelSpec
    from lakeloop.verbs.restoring import Restored


@dataclass(frozen=True)
class Switched:
    """A switch as the ledger has it.

    `trouble` says why MLflow's alias did not follow, `restored` what else came back.
    """

    switch: Switch
    trouble: str = ""
    restored: "Restored | None" = None


def promote_model(
    project: Project,
    name: str,
    version: int,
    context: RunContext,
    progress: Progress = silent,
    *,
    role: Role = "champion",
    percent: float | None = None,
    why: str = "",
) -> Switched:
    """Put a registered version in a role, if it passes the gates.

    A champion is compared with the present one on the held-out rows, which needs Spark; a canary, which answers for
    `percent` of the keys, and a challenger, which answers nobody, are not. Raises PromotionRefusedError with what the
    gates found, which the ledger keeps, ModelError where there is no such version.
    """
    from lakeloop.registry import ModelRegistry
    from lakeloop.training.spec.model import ModelSpec

    if (role == "canary") != (percent is not None):
        raise ModelError("a canary answers for a share of the keys, and nobody else does: give --percent to canaries")
    spec = project.document("models", name).parse(ModelSpec)
    registry = ModelRegistry.of(project)
    progress(f"{name}: reading version {version}")
    registered = registry.registered(spec.model, version)
    gain, champion = None, registry.champion(spec.model)
    if role == "champion" and champion is not None:
        if champion.version == version:
            raise ModelError(f"version {version} of {spec.model} is champion already")
        progress(f"{name}: comparing with version {champion.version}")
        gain = _gain(project, spec, registry, registered, champion)
    return put_in_place(project, spec, registry, registered, context, gain, role=role, percent=percent, why=why)


def put_in_place(
    project: Project,
    spec: "ModelSpec",
    registry: "ModelRegistry",
    registered: "Registered",
    context: RunContext,
    gain: "Gain | None",
    *,
    role: Role = "champion",
    percent: float | None = None,
    why: str = "",
) -> Switched:
    """Ask the gates and switch; `gain` is that over the present champion. Raises PromotionRefusedError."""
    root, before = project.lake_root, registry.champion(spec.model)
    gates = [parity_gate(registered)]
    if role == "champion":
        gates.append(champion_gate(spec.gates, gain, before.version if before else None))
    if spec.gates.incidents:
        gates.append(incidents_gate(list(registered.rules), _open_errors(root, list(registered.rules))))
    if spec.gates.slices is not None:
        gates.append(slices_gate(spec.gates.slices, registered.slices))
    release = None
    if registered.portable.parity is not None and not registered.portable.is_wrong:
        with TemporaryDirectory(prefix="lakeloop-release-") as temporary:
            try:
                folder = registry.release(registered.run_id, Path(temporary))
                gates += release_checks(root, spec.model, spec.table, folder, spec.gates.microseconds_per_row)
                if all(gate.holds for gate in gates):
                    release = put_release(root, f"{spec.model}/{digest_of(folder)}", folder)
            except ModelError as error:
                gates.append(Gate("release", False, str(error), "both files of the release are there"))
    elif role != "champion":
        gates.append(Gate("release", False, str(registered.portable), f"a {role} answers without Spark"))
    made = Switch(
        model=spec.model,
        role=role,
        action="promoted" if all(gate.holds for gate in gates) else "refused",
        version=registered.version,
        who=context.user,
        why=why,
        run_id=context.run_id,
        training_run=registered.run_id,
        release=release,
        percent=percent,
        tables=registered.tables,
        rules=registered.rules,
        metrics=registered.metrics,
        gates=tuple(gates),
    )
    switch = append_switch(root, lambda ledger: replace(made, previous=_version(holder(ledger, spec.model, role))))
    if switch.action == "refused":
        raise PromotionRefusedError(
            f"version {registered.version} of {spec.model} is not {role}: {said_against(switch.gates)}"
        )
    if role == "champion":
        _leave_for(spec.model, switch, root, context)
    return Switched(switch, registry.mirror(switch))


def _leave_for(model: str, champion: Switch, root: str, context: RunContext) -> None:
    """A canary or challenger that has become champion is neither any more."""
    ledger = switches(root, model)
    for role in get_args(Role)[1:]:
        if _version(held := holder(ledger, model, role)) == champion.version and held is not None:
            left = Switch(model, role, "withdrawn", None, context.user, "is champion", context.run_id, held.version)
            append_switch(root, partial(_as_it_is, left))


def _as_it_is(switch: Switch, _: Sequence[Switch]) -> Switch:
    return switch


def roll_back(
    project: Project,
    name: str,
    context: RunContext,
    switched: Callable[[Switch], None] = lambda _: None,
    *,
    to: int | None = None,
    why: str = "",
    tables: bool = False,
    rules: bool = False,
) -> Switched:
    """Make the champion the one that was before the present one, or `to`, which has been champion; starts no Spark.

    Its release is verified before the switch. `tables` also restores the table of features to the version that it
    learned from, by a new version of the table; `rules` the rule sets of the pipelines that made it, in the overlay
    of the environment. Both are tried before the switch. `switched` hears of it at once, seconds before MLflow does.
    Raises ModelError where nobody was champion before, PromotionRefusedError where the release does not pass.
    """
    root, document = project.lake_root, project.document("models", name)
    # Not all of the model file: to read that takes two seconds, and what is wrong in it must not be in the way.
    model, table = str(document.values.get("model", name)), str(document.values.get("table", ""))
    ledger = switches(root, model)
    wanted = _earlier(model, ledger, to)
    gates: list[Gate] = []
    if wanted.release is not None:
        with TemporaryDirectory(prefix="lakeloop-release-") as temporary:
            try:
                folder = fetch_release(root, wanted.release, Path(temporary))
                gates += release_checks(root, model, table, folder, None, wanted.tables.get(table) if tables else None)
            except StorageError as error:
                gates.append(Gate("release", False, str(error), "both files of the release are there"))
    made = replace(
        wanted,
        action="rolled_back" if all(gate.holds for gate in gates) else "refused",
        who=context.user,
        why=why,
        run_id=context.run_id,
        gates=tuple(gates),
    )
    restored = None
    if made.action != "refused" and (rules or tables):
        from lakeloop.verbs.restoring import Restored, restore_rules, restore_table

        files = restore_rules(project, wanted.rules) if rules else ()
        restored = Restored(restore_table(root, table, wanted.tables) if tables else "", files)
    switch = append_switch(root, lambda now: replace(made, previous=_version(holder(now, model, "champion"))))
    if switch.action == "refused":
        raise PromotionRefusedError(
            f"version {switch.version} of {model} does not come back: {said_against(switch.gates)}"
        )
    switched(switch)
    return Switched(switch, _mirrored(project, switch), restored)


def withdraw_model(project: Project, name: str, role: Role, context: RunContext, why: str = "") -> Switched:
    """Take the holder of a role out of it; of a champion nobody answers then. Raises ModelError where nobody has it."""
    model = _model(project, name)

    def made(ledger: Sequence[Switch]) -> Switch:
        if (held := holder(ledger, model, role)) is None:
            raise ModelError(f"{model} has no {role} to withdraw")
        return Switch(model, role, "withdrawn", None, context.user, why, context.run_id, previous=held.version)

    switch = append_switch(project.lake_root, made)
    return Switched(switch, _mirrored(project, switch))


def champion_history(project: Project, name: str | None = None) -> list[Switch]:
    """The ledger, of one model by its file's name or of all; starts no Spark."""
    return switches(project.lake_root, _model(project, name) if name is not None else None)


def champions_at(project: Project, name: str, at: dt.datetime) -> list[Switch]:
    """Who held the roles of a model at a time, the champion first."""
    ledger = switches(project.lake_root, model := _model(project, name))
    return [held for role in get_args(Role) if (held := holder(ledger, model, role, at)) is not None]


def release_checks(
    root: str, model: str, table: str, folder: Path, slowest: float | None, version: int | None = None
) -> list[Gate]:
    """What a release in a local folder shows, beside the columns that its table has now or had at a version.

    `slowest` are the microseconds that a row may take, None where that is not asked.
    """
    return list(release_gates(folder, model, column_types(open_table(root, table, version)), slowest))


def said_against(gates: Sequence[Gate]) -> str:
    """What the gates that do not hold found, for people."""
    return "; ".join(f"{gate.name}: {gate.found}, wanted: {gate.wanted}" for gate in gates if not gate.holds)


def _gain(project: Project, spec: "ModelSpec", registry: "ModelRegistry", new: "Registered", old: "Champion") -> "Gain":
    from lakeloop.training.comparison.beside import gain_over
    from lakeloop.training.train import labelled_test_rows
    from lakeloop.verbs.lakes import open_lake

    lake = open_lake(project, spark_nlp=spec.features.needs_spark_nlp)
    rows = labelled_test_rows(spec, lake.read(spec.table))
    return gain_over(spec, registry.load(new), registry.load(old), rows)


def _earlier(model: str, ledger: Sequence[Switch], to: int | None) -> Switch:
    """The switch by which the version that comes back was promoted."""
    turns = [switch for switch in ledger if switch.role == "champion" and switch.action != "refused"]
    promoted = {switch.version: switch for switch in turns if switch.action == "promoted"}
    present = holder(turns, model, "champion")
    if to is None:
        # Where nobody answers any more, whoever did last comes back.
        came = promoted[present.version] if present is not None else next(reversed(turns), None)
        to = came.previous if came is not None else None
        if to is None:
            raise ModelError(f"{model} has had no champion before the present one; there is nothing to roll back to")
    elif present is not None and present.version == to:
        raise ModelError(f"version {to} of {model} is champion already")
    if to not in promoted:
        known = ", ".join(str(version) for version in promoted) or "none"
        raise ModelError(f"version {to} of {model} was never champion; those that were: {known}")
    return promoted[to]


def _open_errors(root: str, pipelines: Sequence[str]) -> list[str]:
    return [
        f"{incident.last.pipeline}: {incident.last.message}"
        for incident in open_incidents(root)
        if incident.last.severity == "error" and incident.last.pipeline in pipelines
    ]


def _mirrored(project: Project, switch: Switch) -> str:
    from lakeloop.registry import ModelRegistry

    return ModelRegistry.of(project).mirror(switch)


def _model(project: Project, name: str) -> str:
    return str(project.document("models", name).values.get("model", name))


def _version(switch: Switch | None) -> int | None:
    return switch.version if switch is not None else None
