"""The stages of a pipeline, each with what it does to many rows (`define`) and the lines it takes for one (`emit`).

A stage is a frozen data class of texts, numbers, expressions and arrays, which is how the archive holds it.
"""
