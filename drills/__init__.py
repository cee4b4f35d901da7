"""Drills: real processes killed by SIGKILL, damaged tables, full disks; then every row must be there once."""
