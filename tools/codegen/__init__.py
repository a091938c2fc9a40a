"""Turns Kafka's message specs into Python classes, C tables and the table of the documentation.

``python -m tools.codegen`` writes the generated files, ``--check`` tells whether they are current.
The specs are read from the pinned Kafka jars that ``tools/fetch_jars.sh`` puts into
``.cache/jars``. Only facts are taken: names, types, version ranges, tags, nullability, defaults.
"""
