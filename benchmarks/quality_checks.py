"""The 21 checks on order lines, as data that each way of checking puts into its own words."""

NOT_NULL = ("line_id", "order_no", "customer_id", "ordered_at", "email", "price")
RANGES = {"quantity": (1, 1_000), "price": (0, 10_000), "discount": (0.0, 0.9), "total": (0, 1_000_000)}
PATTERNS = {"email": r"[^@\s]+@[^@\s]+\.[a-z]+", "sku": r"SKU-\d{6}"}
SETS = {"channel": ("web", "shop", "phone"), "status": ("new", "paid", "sent", "closed")}
KEYS = (("line_id",), ("order_no", "line_no"))
EARLIER, LATER = "ordered_at", "sent_at"
ADDS_UP = "abs(total - quantity * price * (1 - discount)) <= 0.01"
FRESH, FRESH_DAYS = "ordered_at", 3_650
LEAST_ROWS = 1_000
REFERENCE = ("customer_id", "customers", "id")
COUNT = 21


def whole(pattern: str) -> str:
    """The pattern for engines that look for it anywhere in a text: nothing before or after it, no line break either."""
    return rf"\A(?:{pattern})\z"


def many_ranges(number: int) -> list[tuple[str, int]]:
    """Columns and least values of so many range checks, no two alike; few rows break one."""
    columns = tuple(RANGES)
    return [(columns[index % len(columns)], -1_000 - index) for index in range(number)]
