"""Drills: real processes killed by SIGKILL again and again, or run on full disks; then every row must be there once."""
