"""How sure a proposal may be: a lower bound, at 95%, of the share of later rows that will hold it.

It holds for rows that come as those that were seen came. It says nothing of a change of the world.
"""

import math

Z = 1.959964  # of the normal distribution, two-sided 95%
LOWEST = 0.95  # less sure proposals are not made
FEWEST = 73  # rows; fewer make nothing as sure as that
CENTRE = Z * Z


def never_violated(rows: int) -> float:
    """Of a condition that held in all of `rows`: Wilson's lower bound of the share that holds it (1927)."""
    return holds(rows, rows)


def holds(held: int, rows: int) -> float:
    """Of a condition that held in `held` of `rows`: Wilson's lower bound; 0 for no row."""
    if not rows:
        return 0.0
    share = held / rows
    spread = Z * math.sqrt(share * (1 - share) / rows + CENTRE / (4 * rows * rows))
    return max(0.0, (share + CENTRE / (2 * rows) - spread) / (1 + CENTRE / rows))


def all_values_seen(seen_once: int, rows: int) -> float:
    """That the next value is one of those seen: Good and Turing's (1953) share of unseen values is seen_once / rows.

    Wilson's bound of it is taken, so that values of which many were seen just once are no set.
    """
    return holds(rows - seen_once, rows)


def within_range(rows: int) -> float:
    """That the next number lies between the smallest and the greatest of `rows`: Wilks' tolerance limits (1941).

    The share between them is distributed as Beta(rows - 1, 2); its 5% quantile is close to 1 - 4.744 / rows. A margin
    around the range makes it only surer.
    """
    return max(0.0, 1 - 4.744 / rows) if rows > 1 else 0.0
