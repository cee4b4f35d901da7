"""The data API: tables for whoever has a key, by the page or by a SELECT; each access stands in `ops.audit`."""
