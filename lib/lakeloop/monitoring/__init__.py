"""Monitoring: what went wrong becomes incidents, and incidents become messages to people.

Enters: how pipelines ended, from the ledger, and the declarations of `alerts.yml`. Leaves: rows of `ops.incidents`, and
e-mails, webhook calls and Slack messages. May import `core`, `lake` and `quality`; it never starts Spark.
"""
