"""Benchmarks: our way beside the hand-written way and the rivals, in one run; results are kept as JSON."""
