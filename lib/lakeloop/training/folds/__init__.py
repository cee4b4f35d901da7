"""Which rows are held out for the test, and which ones measure in which fold.

Enters: rows with a key, group or time. Leaves: the same rows with a fold, or in two parts; sizes are exact, and where a
row goes depends on its key and a seed alone.
"""
