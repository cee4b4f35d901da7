"""The models API: answers, reasons and roles; each prediction stands in `ops.predictions`.

A request goes through `asking` (who asks, how often), `asked` and `rows` (what it says) and `service` (who answers, and
the log). `watch` follows the ledger beside it. `process` is what runs, and imports neither pandas, Spark nor MLflow.
"""
