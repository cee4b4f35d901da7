"""From the folder in which Spark saved a fitted pipeline to stages that need no Spark; reads files only.

`saved_pipeline.py` reads the folder, one module per family of stages takes them over, `statements.py` takes SQL.
"""
