"""From the columns of a gold table to one vector per row, and from its slots back to the columns.

Enters: a `ModelSpec` and the schema of the table. Leaves: unfitted Spark ML stages (`stages.py`), each kind in a module
of its own (`filling`, `encoding`, `text`, `selection`, `scaling`, `components`); of what was fitted, the stages that
are saved (`serving.py`) and what each slot is made of (`slots.py`). `point_in_time.py` joins labels with what was
known.
"""
