"""The Python face of the native engine; no other package imports ``pylog._engine``.

``engine.py`` is what a broker holds: sockets, clients, logs. ``reactor.py`` runs the engine's
thread and tells what it says in the asyncio loop; ``partition.py`` is one open log,
``producers.py`` looks at the producers of a closed one. ``values.py`` has what goes in and out,
``events.py`` and ``structs.py`` read and fill C structs. Offsets, times and sizes are integers;
batches are whole record batches in Kafka's format, as bytes.
"""
