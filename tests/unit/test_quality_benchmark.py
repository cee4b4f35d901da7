"""The benchmark of quality rules judges engines rightly; no JVM."""

from pathlib import Path

import numpy as np
import pytest
from pyarrow import compute, parquet

from benchmarks.planted_faults import CASES, planted, planted_rows
from benchmarks.quality_checks import RANGES
from benchmarks.quality_data import order_lines, write_order_lines
from benchmarks.quality_verdicts import judged

ROWS = 20_000


def test_tells_in_which_rows_an_engine_errs() -> None:
    right = sorted(planted("unique"))
    verdict = judged({"unique": [*right[1:], 0]})["unique"]
    assert verdict["too_many"] == [0]
    assert verdict["missed"] == right[:1]
    assert verdict["precision"] == verdict["recall"] == pytest.approx(1 - 1 / len(right))
    assert not verdict["right"]


def test_compares_numbers_where_an_engine_names_no_rows() -> None:
    assert judged({"unique": 3}) == {"unique": {"found": 3, "planted": 7, "right": False}}
    assert judged({"unique": 7})["unique"]["right"]


def test_says_why_a_rule_was_not_judged() -> None:
    assert judged({"reference": "no such rule"}) == {"reference": {"not judged": "no such rule"}}


def test_a_variant_of_a_rule_is_judged_by_what_was_planted_for_the_rule() -> None:
    assert judged({"pattern, ^ and $": sorted(planted("pattern"))})["pattern, ^ and $"]["right"]


def test_planted_rows_have_the_cells_of_their_case() -> None:
    rows = planted_rows()
    assert [row[0] for row in rows] == list(range(len(CASES)))
    assert [row[1] for row in rows] == [case.cells.get("code", "A") for case in CASES]


def test_order_lines_are_the_same_for_the_same_seed(tmp_path: Path) -> None:
    for folder in ("one", "other"):
        write_order_lines(tmp_path / folder, ROWS, seed=7)
    one, other = (parquet.read_table(tmp_path / folder) for folder in ("one", "other"))
    assert one.num_rows == ROWS
    assert one.drop_columns(["total"]).equals(other.drop_columns(["total"]))  # NaN equals nothing


def test_a_hundredth_of_the_lines_has_each_fault() -> None:
    table = order_lines(np.random.default_rng(7), 0, ROWS)
    assert table["line_id"].null_count / ROWS == pytest.approx(0.01, abs=0.003)
    outside = compute.greater(table["discount"], RANGES["discount"][1])
    assert compute.sum(outside).as_py() / ROWS == pytest.approx(0.01, abs=0.003)
    keys = table["line_id"].drop_null()
    assert len(keys) - len(keys.unique()) == pytest.approx(0.0075 * ROWS, abs=0.003 * ROWS)
