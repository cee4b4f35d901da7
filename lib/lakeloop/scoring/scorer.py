"""A model that answers without Spark: one row from a dictionary, or many rows from a table."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from lakeloop.core.errors import ScoringError
from lakeloop.scoring.blocks import Floats
from lakeloop.scoring.columns import Columns
from lakeloop.scoring.kinds import arrow_type, reader_of
from lakeloop.scoring.row_code import RowCode, Scalar
from lakeloop.scoring.row_functions import FUNCTIONS
from lakeloop.scoring.stages.stage import Stage, Wide

Task = Literal["binary", "multiclass", "regression"]
ROWS_AT_A_TIME, NUMBERS_AT_A_TIME = 16_384, 1 << 22
READ_AS_IT_IS = ("string", "boolean", "int", "bigint", "smallint", "tinyint")


@dataclass(frozen=True)
class Answers:
    """What a model says of many rows: `predictions`, shape (rows,), and `probabilities`, shape (rows, classes).

    There are no probabilities of numbers, and none of a support vector machine that is not calibrated.
    """

    predictions: Floats
    probabilities: Floats | None


@dataclass(frozen=True)
class Scorer:
    """The stages of a fitted pipeline, and the columns that it takes with the kind of each.

    `score` answers for one row, `score_many` for a table, both as Spark would: labels equal, numbers to 1e-9. A column
    that is not given is NULL; one that the model does not take is ignored; a value of another kind is a ScoringError.
    """

    columns: Mapping[str, str]
    stages: Sequence[Stage]
    task: Task
    probability_col: str = "probability"
    prediction_col: str = "prediction"

    def score(self, row: Mapping[str, Any]) -> tuple[float, Any]:
        """The prediction, and the probability of the positive of two classes, of all of several, None of numbers."""
        try:
            return self._function(row)
        except (TypeError, ValueError, AttributeError, ArithmeticError) as error:
            self.check(row)
            raise ScoringError(f"the model cannot answer for this row: {error}") from error

    def check(self, row: Mapping[str, Any]) -> None:
        """Raise ScoringError for the first value that is not of the kind of its column."""
        for name, reader in self._readers.items():
            value = row.get(name)
            if value is not None:
                _read(reader, value, f"column {name}")

    def score_many(self, rows: pa.Table | Iterable[Mapping[str, Any]]) -> Answers:
        """The answers for a table or for dictionaries, in their order."""
        table = rows if isinstance(rows, pa.Table) else self.table(rows)
        given = self._conformed(table)
        step = self._rows_at_a_time
        parts = [
            self._answers({name: column.slice(at, step) for name, column in given.items()})
            for at in range(0, max(table.num_rows, 1), step)
        ]
        predictions = np.concatenate([part.predictions for part in parts])
        shares = [part.probabilities for part in parts if part.probabilities is not None]
        return Answers(predictions, np.concatenate(shares) if shares else None)

    def table(self, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
        """Dictionaries as a table of the columns that the model takes."""
        listed = list(rows)
        made = {}
        for name, reader in self._readers.items():
            values = [row.get(name) for row in listed]
            read = [
                None if value is None else _read(reader, value, f"row {at + 1}, column {name}")
                for at, value in enumerate(values)
            ]
            made[name] = pa.array(read, arrow_type(self.columns[name]))
        return pa.table(made)

    def _conformed(self, table: pa.Table) -> dict[str, pa.Array]:
        given = {}
        for name, kind in self.columns.items():
            wanted = arrow_type(kind)
            if name not in table.column_names:
                given[name] = pa.nulls(table.num_rows, wanted)
                continue
            column = table.column(name).combine_chunks()
            try:
                given[name] = column if column.type == wanted else column.cast(wanted)
            except pa.ArrowInvalid as error:
                raise ScoringError(f"column {name} is {column.type}, {kind} is wanted: {error}") from error
        return given

    def _answers(self, given: Mapping[str, pa.Array]) -> Answers:
        rows = len(next(iter(given.values()))) if given else 0
        columns = Columns(rows, given)
        for stage in self.stages:
            stage.define(columns)
        has_shares = self.task != "regression" and columns.has(self.probability_col)
        with np.errstate(all="ignore"):  # infinities and NaN come and go as they do in Java
            return Answers(
                columns.numbers(self.prediction_col),
                columns.vectors(self.probability_col).array() if has_shares else None,
            )

    @cached_property
    def _rows_at_a_time(self) -> int:
        width = sum(stage.width for stage in self.stages if isinstance(stage, Wide))
        return min(ROWS_AT_A_TIME, max(NUMBERS_AT_A_TIME // max(width, 1), 1))

    @cached_property
    def _readers(self) -> dict[str, Callable[[Any], Any]]:
        return {name: reader_of(kind) for name, kind in self.columns.items()}

    @cached_property
    def _function(self) -> Callable[[Mapping[str, Any]], tuple[float, Any]]:
        code = RowCode(FUNCTIONS)
        for name, kind in self.columns.items():
            code.define(name, partial(self._read_row, code, name, kind))
        for stage in self.stages:
            stage.emit(code)
        said = code.scalar(self.prediction_col).text
        if self.task == "regression" or not code.has(self.probability_col):
            return code.function(f"{said}, None")
        shares = [slot.text() for slot in code.slots(self.probability_col)]
        listed = f"({', '.join(shares)},)"
        return code.function(f"{said}, {shares[1] if self.task == 'binary' else listed}")

    def _read_row(self, code: RowCode, name: str, kind: str) -> Scalar:
        given = code.assign(f"get({code.constant(name)})", kind, can_be_null=True)
        if kind in READ_AS_IT_IS:
            return given
        reader = "float" if kind == "double" else code.constant(self._readers[name])
        return code.assign(f"None if {given.text} is None else {reader}({given.text})", kind, can_be_null=True)


def _read(reader: Callable[[Any], Any], value: Any, where: str) -> Any:
    try:
        return reader(value)
    except ValueError as error:
        raise ScoringError(f"{where}: {error}") from error
