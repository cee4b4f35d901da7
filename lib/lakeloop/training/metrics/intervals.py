"""Bootstrap intervals."""

import numpy as np
from numpy.typing import NDArray

Interval = tuple[float, float]


def interval(drawn: NDArray[np.float64]) -> Interval | None:
    """The middle 95 % of a figure's resampled values; None where it is defined in none of them."""
    if np.isnan(drawn).all():
        return None
    low, high = np.nanpercentile(drawn, (2.5, 97.5))
    return float(low), float(high)
