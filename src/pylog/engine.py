"""The Python face of the native engine: the only importer of ``pylog._engine``."""
