"""Bootstrap intervals."""

import numpy as np
from numpy.typing import NDArray

Interval = tuple[float, float]


def interval(drawn: NDArray[np.float64]) -> Interval | None:
    """The middle 95 % of a figure's resampled values, of those where it is defined; None where it never is."""
    found = drawn[np.isfinite(drawn)]
    if not len(found):
        return None
    low, high = np.percentile(found, (2.5, 97.5))
    return float(low), float(high)
