"""Sources: one module per kind of system. Each plans a batch, then reads exactly what it planned.

Adding a system: a declaration in `ingestion/source_specs/`, a module here with a class that satisfies
`protocol.System`, and a branch in `opening.open_system`.
"""
