import numpy as np
import pytest

from lakeloop.training.features.encoding_tables import encoding_table

# a: four rows in parts 0, 1 and 4, of which those in 0 and one in 1 have the label 1; b: one row in part 0 with 0.
COUNTS = {
    "a": np.array([[1, 2, 0, 0, 1], [1, 1, 0, 0, 0]], dtype=np.float64),
    "b": np.array([[1, 0, 0, 0, 0], [0, 0, 0, 0, 0]], dtype=np.float64),
}


def test_a_mean_is_drawn_to_that_of_all_and_an_unseen_category_has_that() -> None:
    table = encoding_table("target", COUNTS, ["a", "b"], 2.0)
    assert table.all == pytest.approx([(2 + 2 * 0.4) / 6, (0 + 2 * 0.4) / 3, 0.4])
    assert encoding_table("target", COUNTS, ["b", "a"], 0.0).all == pytest.approx([0, 0.5, 0.4])


def test_beside_a_part_its_rows_do_not_count() -> None:
    table = encoding_table("target", COUNTS, ["a", "b"], 2.0)
    assert table.beside is not None
    assert table.beside[0] == pytest.approx([1 / 3, 1 / 3, 1 / 3])  # of 1, 0, 0: b has no row there
    assert table.beside[1] == pytest.approx([(1 + 2 / 3) / 4, (2 / 3) / 3, 1 / 3])
    assert table.beside[2] == pytest.approx(table.all)
    unsmoothed = encoding_table("target", COUNTS, ["a", "b"], 0.0)
    assert unsmoothed.beside is not None
    assert unsmoothed.beside[0] == pytest.approx([1 / 3, 1 / 3, 1 / 3])


def test_rows_in_one_part_have_one_number() -> None:
    one = {name: np.pad(counts.sum(axis=1, keepdims=True), ((0, 0), (0, 4))) for name, counts in COUNTS.items()}
    table = encoding_table("target", one, ["a", "b"], 2.0)
    assert table.beside == pytest.approx(np.full((5, 3), 0.4))


def test_a_share_needs_no_label() -> None:
    table = encoding_table("frequency", COUNTS, ["a", "b"], 2.0)
    assert table.all == pytest.approx([0.8, 0.2, 0])
    assert table.beside is None
