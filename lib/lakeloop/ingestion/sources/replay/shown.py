"""Open rows as people see them: place, reasons, text, and the cells of their source; read without Spark."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lakeloop.ingestion.source_specs.files import FilesSource
from lakeloop.ingestion.sources.replay.corrections import Cell, State, state_of, text_of
from lakeloop.ingestion.sources.replay.forms import Form, form_of_source, forms_of
from lakeloop.ingestion.sources.replay.open_rows import is_damaged
from lakeloop.ingestion.sources.replay.selection import reader_of, schema_planner
from lakeloop.ingestion.sources.replay.sheet_cells import masked
from lakeloop.ingestion.sources.replay.values import Values
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.ledger import Ledger
from lakeloop.lake.masks import REDACTED
from lakeloop.lake.plain_values import column_values
from lakeloop.lake.quarantine import Chosen, Quarantine


@dataclass(frozen=True)
class OpenRow:
    """One open row. `text` is what it is parsed from and `cells` what is in it, both with what was corrected before.

    `cells` are empty where the text cannot be parsed, and `error` says why. `told` tells this state from another one.
    """

    row_id: str
    batch_id: int
    origin: str | None
    record: int | None
    came_in: dt.datetime
    rules_version: str | None
    reasons: tuple[tuple[str, str | None], ...]
    text: str | None
    cells: Mapping[str, str | None]
    corrections: tuple[Cell, ...]
    error: str | None
    told: str

    @property
    def masked(self) -> "OpenRow":
        """The same for somebody who may not see personal data."""
        reasons = tuple((rule, REDACTED) for rule, _ in self.reasons)
        cells = {name: masked(value) for name, value in self.cells.items()}
        corrections = tuple(
            {"column": cell["column"], "before": masked(cell["before"]), "after": masked(cell["after"])}
            for cell in self.corrections
        )
        told = State(self.text, Values(self.cells)).told(is_masked=True)
        return replace(self, reasons=reasons, text=masked(self.text), cells=cells, corrections=corrections, told=told)


def open_rows(spec: PipelineSpec, quarantine: Quarantine, chosen: Chosen, limit: int) -> Iterator[OpenRow]:
    """The first open rows, the oldest batch first."""
    ledger, root = Ledger(quarantine.root), quarantine.root
    planner = schema_planner(root, spec)
    schema = planner.current() if planner else None
    fixed_form = form_of_source(spec.source)
    for batch in quarantine.open_rows(chosen, limit):
        names = batch.schema.names
        rows = [
            dict(zip(names, values, strict=True)) for values in zip(*map(column_values, batch.columns), strict=True)
        ]
        of_row, forms = _forms(rows, spec, ledger, fixed_form)
        batches = sorted({row["root_batch_id"] for row in rows})
        parse = reader_of(root, spec, forms, batches, schema).parser()
        for row, form in zip(rows, of_row, strict=True):
            earlier = tuple(row["corrections"] or ())
            reasons = tuple((one["rule"], one["message"]) for one in row["reasons"] or ())
            text = text_of(row["original"], earlier)
            damaged = is_damaged(spec.source, reasons, row["original"])
            state = state_of(text, parse(form, text), earlier, is_damaged=damaged)
            yield OpenRow(
                row["row_id"], row["batch_id"], row["origin"], row["record"], row["came_in"], row["rules_version"],
                reasons, text, state.values.cells, earlier, state.error, state.told(is_masked=False),
            )  # fmt: skip


def _forms(
    rows: Sequence[Mapping[str, Any]], spec: PipelineSpec, ledger: Ledger, form: Form | None
) -> tuple[list[int | None], tuple[Form, ...]]:
    """The number of each row's form, and the forms."""
    if not isinstance(spec.source, FilesSource):
        return [0] * len(rows), (form or Form("columns"),)
    places = {(row["root_batch_id"], row["origin"] or "") for row in rows}
    of_place = forms_of(places, spec.pipeline, spec.source, ledger)
    forms = tuple(dict.fromkeys(of_place.values()))
    found = (of_place.get((row["root_batch_id"], row["origin"] or "")) for row in rows)
    return [None if each is None else forms.index(each) for each in found], forms
