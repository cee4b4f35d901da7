"""Schemas of sources: inferred once or declared, kept with versions, changed only as it is declared.

`declaration` says what a user may write, `columns` what a schema and a file are, `inference` gives types, `decision`
says what becomes of the difference. All of it is pure; `sources/files` looks into files, plans and carries out.
"""
