"""The gates: what a version must show before it holds a role. Each gives one `Gate`, with figures for people."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakeloop.core.errors import ScorerError
from lakeloop.lake.champions import Gate
from lakeloop.scoring.release import Release, complaints, read_release, seconds_per_row

SHOWN = 300  # characters of a row that speaks against a version

if TYPE_CHECKING:  # a rollback asks some of the gates, and has no seconds for Spark and MLflow
    from lakeloop.registry import Registered
    from lakeloop.training.comparison.beside import Gain
    from lakeloop.training.spec.gates import AlikeSlices, Gates


def parity_gate(registered: "Registered") -> Gate:
    """That the scorer says what Spark says. A version without a scorer passes: Spark answers for it, nobody else."""
    found = registered.portable
    return Gate("parity", not found.is_wrong, str(found), "the scorer answers as Spark does")


def champion_gate(gates: "Gates", gain: "Gain | None", champion: int | None) -> Gate:
    """That a version is better than the champion, with confidence."""
    declared = gates.champion
    wanted = f"above {declared.by:g} with {declared.confidence:.0%} confidence"
    if gain is None:
        return Gate("champion", True, "there is no champion yet", wanted)
    found = (
        f"{gain.metric} {gain.new:.4f} beside {gain.old:.4f} of version {champion} on {gain.rows:,} rows: better by "
        f"{gain.gain:.4f}, at least {gain.at_least:.4f}"
    )
    return Gate("champion", gain.at_least > declared.by, found, wanted)


def incidents_gate(pipelines: Sequence[str], open_errors: Sequence[str]) -> Gate:
    """That nothing is wrong with the data: `open_errors` are the messages of incidents of `pipelines`."""
    found = "; ".join(open_errors[:3]) if open_errors else f"none in {', '.join(pipelines) or 'no pipeline'}"
    return Gate("incidents", not open_errors, found, "no open error in what the table was made by")


def slices_gate(declared: "AlikeSlices", slices: Sequence[Mapping[str, Any]]) -> Gate:
    """That no slice of a column is treated much worse than another."""
    values: dict[str, dict[str, float]] = defaultdict(dict)
    for part in slices:
        if part["rows"] >= declared.fewest_rows and "figures" in part:
            values[part["column"]][str(part["value"])] = part["figures"][declared.metric]
    gaps = {column: max(of.values()) - min(of.values()) for column, of in values.items() if len(of) > 1}
    wanted = f"{declared.metric} apart by {declared.largest_gap:g} at most"
    if not gaps:
        return Gate("slices", True, f"no column has two slices of {declared.fewest_rows} rows", wanted)
    widest = max(gaps, key=gaps.__getitem__)
    worst = min(values[widest], key=values[widest].__getitem__)
    found = f"{gaps[widest]:.4f} in {widest}, where {worst} has {values[widest][worst]:.4f}"
    return Gate("slices", gaps[widest] <= declared.largest_gap, found, wanted)


def release_gates(folder: Path, model: str, columns: Mapping[str, str], slowest: float | None) -> Iterator[Gate]:
    """That a release in a folder is whole, answers as it did, takes columns that the table has, and is quick.

    `columns` are those of the table, with their types as the scorer names them; `slowest` are the microseconds that one
    row may take, None where that is not asked.
    """
    whole = "both files of the release are there and can be read"
    try:
        release = read_release(folder)
    except ScorerError as error:
        yield Gate("release", False, str(error), whole)
        return
    yield Gate("release", release.card.model == model, f"a release of {release.card.model}", f"one of {model}")
    yield _signature_gate(release, columns)
    wrong = complaints(release)
    found = (
        f"{len(wrong)} rows speak against it, such as {wrong[0][:SHOWN]}"
        if wrong
        else f"{len(release.card.probes)} rows are answered as at the training"
    )
    yield Gate("answers", not wrong, found, "rows are answered as at the training, by numbers")
    if not wrong and slowest is not None:
        took = seconds_per_row(release) * 1e6
        yield Gate("latency", took <= slowest, f"{took:.1f} µs a row", f"{slowest:g} µs a row at most")


def _signature_gate(release: Release, columns: Mapping[str, str]) -> Gate:
    wrong = [
        f"{name} is {columns[name]}, {kind} at the training" if name in columns else f"{name} is not there"
        for name, kind in release.scorer.columns.items()
        if columns.get(name) != kind
    ]
    wanted = f"{release.card.table} has the columns of the training"
    return Gate("signature", not wrong, "; ".join(wrong) or f"all {len(release.scorer.columns)} are there", wanted)
