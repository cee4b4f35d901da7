"""What readers see: the view of a record, or a table of its own that is made anew from the record."""

from collections.abc import Callable, Iterator
from functools import partial

from pyarrow import fs

from lakeloop.core.errors import DamageError
from lakeloop.ingestion.sink_spec import Target
from lakeloop.ingestion.soundness import lacks_batches
from lakeloop.lake.delta_log import list_log, said_of
from lakeloop.lake.ledger import Batch
from lakeloop.lake.ops_tables import uri_of
from lakeloop.lake.storage import filesystem
from lakeloop.lake.tables import Commit, Lake
from lakeloop.lake.views import FILE, find_view, write_view
from lakeloop.repair.ailment import Ailment, Bench
from lakeloop.repair.facts import Facts
from lakeloop.repair.logs import LogDefects, unreadable_files

OpenLake = Callable[[], Lake]


def view_ailments(bench: Bench, facts: Facts) -> Iterator[Ailment]:
    """A view that is gone or torn, or shows fewer batches than succeeded or more than were planned."""
    for target in facts.spec.targets:
        if target.mode == "append" and facts.planned:
            yield from _view_ailments(bench, facts, target)


def _view_ailments(bench: Bench, facts: Facts, target: Target) -> Iterator[Ailment]:
    table, wanted = target.table, max(facts.succeeded, default=None)
    try:
        view = find_view(uri_of(bench.root, table))
        what = f"it shows batches up to {view.accepted} and not up to {wanted}" if view else f"{FILE} is missing"
    except DamageError:
        view, what = None, f"{FILE} is torn"
    is_behind = wanted is not None and lacks_batches(bench.root, facts.spec, target, view, wanted)
    if is_behind or what.endswith("torn") or (view is not None and view.accepted > max(facts.planned)):

        def mend() -> None:
            folder = uri_of(bench.root, table)
            bench.set_aside(f"{folder}/{FILE}")
            if wanted is not None:
                write_view(folder, target.view(facts.spec.record_table, wanted))

        shown = f"it is written anew, up to batch {wanted}" if wanted is not None else "the next run writes it anew"
        yield Ailment(table, what, shown, mend)


def sink_ailments(bench: Bench, facts: Facts, open_lake: OpenLake) -> Iterator[Ailment]:
    """Tables of their own whose log or files are damaged, or that lack the last batches; by Spark, from the record."""
    for target in facts.spec.targets:
        if target.mode != "append":
            yield from _sink_ailments(bench, facts, target, open_lake)


def _sink_ailments(bench: Bench, facts: Facts, target: Target, open_lake: OpenLake) -> Iterator[Ailment]:
    folder, is_replaced = uri_of(bench.root, target.table), facts.spec.sink.is_replaced
    good = [number for number in facts.succeeded if facts.ends[number]["rows_good"]]
    if target.route is not None and not is_replaced:
        good = [number for number in good if target.route in facts.routes[number]]
    if not good:
        return
    if what := sink_damage(folder):
        if is_replaced or all(facts.counts(n).good >= facts.ends[n]["rows_good"] for n in good):
            cure = "it is set aside and made anew from the record"
            yield Ailment(target.table, what, cure, partial(_make_anew, bench, facts, target, good, open_lake))
        else:
            yield Ailment(target.table, what, "The record no longer has all its rows; restore it from a backup", None)
        return
    brought = {said["batch_id"] for _, actions in list_log(folder).history() if (said := said_of(actions))}
    behind = [number for number in good if number > max(brought)] if brought else []
    if behind:
        what = f"it lacks batch {', '.join(map(str, behind))}"
        cure = "the record brings it again"
        yield Ailment(target.table, what, cure, partial(_publish, facts, target, behind, open_lake))


def sink_damage(folder: str) -> str:
    """What is wrong with a table of rows of its own, in words, beyond what setting a checkpoint aside would mend."""
    log = list_log(folder)
    if log.latest is None:
        return "it is missing"
    defects = LogDefects(log)
    if defects.torn or defects.missing:
        return defects.words()
    return "" if defects.words() else "; ".join(unreadable_files(folder).values())


def _make_anew(bench: Bench, facts: Facts, target: Target, batches: list[int], open_lake: OpenLake) -> None:
    system, path = filesystem(uri_of(bench.root, target.table))
    if system.get_file_info(path).type is fs.FileType.Directory:
        _, place = filesystem(bench.folder + path.removeprefix(filesystem(bench.root)[1]))
        system.create_dir(place.rsplit("/", 1)[0], recursive=True)
        system.move(path, place)
    wanted = batches[-1:] if facts.spec.sink.is_replaced else batches
    _publish(facts, target, wanted, open_lake)


def _publish(facts: Facts, target: Target, batches: list[int], open_lake: OpenLake) -> None:
    from lakeloop.ingestion.publishing import publish_into

    lake = open_lake()
    for number in batches:
        row = facts.planned[number]
        publish_into(lake, facts.spec, target, Batch(Commit(row["writer"], number, row["run_id"]), facts.plan(number)))
