"""Drills: real processes killed by SIGKILL and tables damaged, again and again; then every row must be there once."""
