"""Drills: real processes killed by SIGKILL again and again; then every row must be there once."""
