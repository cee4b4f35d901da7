"""Names out of the first line of a table: made distinct, and found whatever the delimiter."""

import csv
from collections.abc import Iterable, Mapping, Sequence

CORRUPT = "_corrupt"  # Spark's parser needs a name for what it cannot read
DELIMITERS = (",", ";", "\t", "|")


def find_header(line: str, delimiter: str, quote: str) -> tuple[str, ...]:
    """The column names on a line; none on a blank one."""
    if not line.strip(" "):
        return ()
    try:
        cells = next(csv.reader([line], delimiter=delimiter, quotechar=quote), [])
    except csv.Error:  # a cell longer than any name
        cells = [line[:100]]
    return distinct_names(cell.strip() for cell in cells)


def sniff_delimiter(line: str, quote: str) -> str:
    """The delimiter that a header has most of outside quotes; a comma where it has none."""
    outside = "".join(line.split(quote)[::2])
    return max(DELIMITERS, key=outside.count) if any(map(outside.count, DELIMITERS)) else ","


def distinct_names(names: Iterable[str]) -> tuple[str, ...]:
    """Header names made usable: a repeated or empty one gets its position, so that its cells are kept as rescued."""
    taken, distinct = {"", CORRUPT}, []  # in lower case, as Spark compares names
    for position, given in enumerate(names, start=1):
        name = given
        while name.lower() in taken:
            name = f"{name}_{position}"
        taken.add(name.lower())
        distinct.append(name)
    return tuple(distinct)


def match_names(
    header: Sequence[str], declared: Sequence[str], aliases: Mapping[str, Sequence[str]] | None = None
) -> dict[str, str]:
    """The name in the header of each declared field: the same, else the same but for its case, else an alias."""
    by_case = {name.lower(): name for name in header}
    found: dict[str, str] = {}
    for name in declared:
        names = [name.lower(), *(other.lower() for other in (aliases or {}).get(name, ()))]
        in_file = name if name in header else next((by_case[other] for other in names if other in by_case), None)
        if in_file is not None:
            found[name] = in_file
    return found
