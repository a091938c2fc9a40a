"""``python -m pylog``: the same as the ``pylog`` command."""

from pylog.cli import main

main(prog_name="pylog")
