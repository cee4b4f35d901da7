"""Rival quality engines, each run in an environment of its own that holds nothing of Lakeloop."""
