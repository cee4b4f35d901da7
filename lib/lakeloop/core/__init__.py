"""Core: errors, configuration, secrets, the Spark session, run records and logs.

Enters: a `conf/` folder and an environment name. Leaves: validated settings, a session, errors people can act on.
Knows no domain and imports no other room.
"""
