"""The producers that a log's files tell of, without opening the log."""

from __future__ import annotations

from pylog._engine import ffi, lib
from pylog.engine.structs import values_of
from pylog.engine.values import AbortedTransaction, ProducerView


class ProducerTracker:
    """Producer state of a log whose files are looked at without opening it.

    ValueError for a snapshot or a batch that is no such thing.
    """

    def __init__(self) -> None:
        native = lib.pl_tracker_create()
        if native == ffi.NULL:
            raise MemoryError("no producer state")
        self._native = ffi.gc(native, lib.pl_tracker_destroy)

    def load(self, snapshot: bytes) -> None:
        """Begin with what a snapshot file holds."""
        if lib.pl_tracker_load(self._native, snapshot, len(snapshot)):
            raise ValueError("malformed producer snapshot")

    def add(self, batch: bytes) -> AbortedTransaction | None:
        """Count the next batch in; the transaction that it aborts."""
        abort = ffi.new("struct pl_tracked_abort *")
        if lib.pl_tracker_add(self._native, batch, len(batch), abort):
            raise ValueError("malformed batch or transaction marker")
        if abort.producer_id < 0:
            return None
        return AbortedTransaction(*values_of(AbortedTransaction, abort))

    def producers(self) -> dict[int, ProducerView]:
        """The producers by their ids."""
        count = lib.pl_tracker_producers(self._native, ffi.NULL, 0)
        views = ffi.new("struct pl_producer_view[]", count)
        lib.pl_tracker_producers(self._native, views, count)
        found = [ProducerView(*values_of(ProducerView, view)) for view in views]
        return {view.producer_id: view for view in found}
