"""What the metrics of a classifier depend on besides its scores."""

from typing import NamedTuple


class Costs(NamedTuple):
    """What it costs to call a negative row positive, and to miss a positive one; in any one unit."""

    false_positive: float
    false_negative: float


class Yardstick(NamedTuple):
    """What figures depend on besides the scores.

    Rows with scores above `threshold` are called positive, `beta` says how many times recall counts what precision
    does, `top` is the share of rows, those with the highest scores, that lift looks at.
    """

    threshold: float = 0.5
    beta: float = 2.0
    top: float = 0.1
    costs: Costs | None = None
