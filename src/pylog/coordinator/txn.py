"""The transaction coordinator: one shard of ``__transaction_state``, as a pure state machine.

States are drawn in ``txn_state``. Time limits, by name of the timer:

    ("timeout", transactional id)   an ongoing transaction is over its timeout: fenced and aborted
    ("patience", transactional id)  markers take long: EndTxn is answered before they are written
    ("expiry",)                     look for transactional ids that nobody uses any more
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from pylog.coordinator.effects import Effects, Producer, Promise, Record, TimerName
from pylog.coordinator.txn_state import (
    COMPLETE,
    LAST_EPOCH,
    LOG_VALUE_VERSION,
    NO_EPOCH,
    NO_PRODUCER_ID,
    NO_TIME,
    PREPARED,
    TopicPartition,
    Transaction,
    TxnState,
    TxnVersion,
    restored,
)
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.records.transaction_log import TransactionLogKey, TransactionLogValue

_PATIENCE_MS = 1_000
_EXPIRY_TIMER: TimerName = ("expiry",)
_DAY_MS = 24 * 60 * 60 * 1000

TakeId = Callable[[], int]


@dataclass(frozen=True, slots=True)
class TxnSettings:
    """Broker settings that transactions obey."""

    max_timeout_ms: int = 900_000
    id_expiration_ms: int = 7 * _DAY_MS
    expiry_interval_ms: int = 3_600_000


@dataclass(frozen=True, slots=True)
class Ending:
    """What EndTxn asks."""

    transactional_id: str
    producer: Producer
    commit: bool
    version: TxnVersion


class TransactionShard:
    """Transactional ids that hash to one partition. Every public method is a step, or a look."""

    def __init__(self, settings: TxnSettings) -> None:
        self.transactions: dict[str, Transaction] = {}
        self._settings = settings
        self._ending: dict[str, tuple[Promise, Producer]] = {}  # EndTxn that waits for markers
        self._last_epochs: dict[str, int] = {}  # what no record holds

    # ---- InitProducerId ----

    def init(
        self,
        transactional_id: str,
        timeout_ms: int,
        expected: Producer | None,
        take_id: TakeId,
        promise: Promise,
        now_ms: int,
    ) -> Effects:
        """The answer is a Producer. ``expected``: what the producer had before an error."""
        if transactional_id == "":
            raise ApiError(ErrorCode.INVALID_REQUEST)
        if not 0 < timeout_ms <= self._settings.max_timeout_ms:
            raise ApiError(ErrorCode.INVALID_TRANSACTION_TIMEOUT)
        out = Effects()
        known = self.transactions.get(transactional_id)
        if known is None:
            fresh = Transaction(transactional_id, take_id(), 0, timeout_ms, update_ms=now_ms)
            self._initialise(fresh, promise, out)
        elif expected is not None and not _may_go_on(known, expected):
            raise ApiError(ErrorCode.PRODUCER_FENCED)
        elif known.state in PREPARED:
            raise ApiError(ErrorCode.CONCURRENT_TRANSACTIONS)
        elif known.state == TxnState.ONGOING:
            self._fence(known, now_ms, out)
            out.reply(promise, ApiError(ErrorCode.CONCURRENT_TRANSACTIONS))
        else:
            fresh = _next_epoch(known, expected, take_id)
            fresh = replace(fresh, timeout_ms=timeout_ms, update_ms=now_ms)
            self._initialise(fresh, promise, out)
        return out

    def _initialise(self, fresh: Transaction, promise: Promise, out: Effects) -> None:
        fresh = replace(
            fresh,
            state=TxnState.EMPTY,
            partitions=set(),
            start_ms=NO_TIME,
            client_version=TxnVersion.V0,
        )
        self._store(fresh, out)
        out.reply(promise, Producer(fresh.producer_id, fresh.epoch))

    # ---- partitions ----

    def add_partitions(
        self,
        transactional_id: str,
        producer: Producer,
        partitions: Iterable[TopicPartition],
        version: TxnVersion,
        promise: Promise,
        now_ms: int,
    ) -> Effects:
        """They take part in the producer's transaction, which begins if none is open."""
        txn = self._of_producer(transactional_id, producer)
        out = Effects()
        out.reply(promise, None)
        added = set(partitions)
        if txn.state == TxnState.ONGOING and added <= txn.partitions:
            return out
        begins = txn.state != TxnState.ONGOING
        txn = replace(
            txn,
            state=TxnState.ONGOING,
            partitions=added if begins else txn.partitions | added,
            start_ms=now_ms if begins else txn.start_ms,
            update_ms=now_ms,
            client_version=version,
        )
        self._store(txn, out)
        if begins:
            out.set_timer(_timeout(transactional_id), txn.timeout_ms)
        return out

    def verify(
        self,
        transactional_id: str,
        producer: Producer,
        partitions: Iterable[TopicPartition],
        promise: Promise,
    ) -> Effects:
        """The answer: which of them take part in the open transaction."""
        txn = self._of_producer(transactional_id, producer)
        out = Effects()
        taking_part = txn.partitions if txn.state == TxnState.ONGOING else set()
        out.reply(promise, {p for p in partitions if p in taking_part})
        return out

    def _of_producer(self, transactional_id: str, producer: Producer) -> Transaction:
        txn = self._known(transactional_id)
        if txn.producer_id != producer.producer_id:
            raise ApiError(ErrorCode.INVALID_PRODUCER_ID_MAPPING)
        if txn.epoch != producer.epoch:
            raise ApiError(ErrorCode.PRODUCER_FENCED)
        if txn.state in PREPARED:
            raise ApiError(ErrorCode.CONCURRENT_TRANSACTIONS)
        return txn

    def _known(self, transactional_id: str) -> Transaction:
        if transactional_id == "":
            raise ApiError(ErrorCode.INVALID_REQUEST)
        txn = self.transactions.get(transactional_id)
        if txn is None:
            raise ApiError(ErrorCode.INVALID_PRODUCER_ID_MAPPING)
        return txn

    # ---- EndTxn ----

    def end(self, ending: Ending, take_id: TakeId, promise: Promise, now_ms: int) -> Effects:
        """The answer is the Producer to go on with; it comes when the markers are written."""
        txn = self._known(ending.transactional_id)
        repeated = _is_repeated(txn, ending)
        if txn.producer_id != ending.producer.producer_id and not repeated:
            raise ApiError(ErrorCode.INVALID_PRODUCER_ID_MAPPING)
        if not repeated and (txn.epoch != ending.producer.epoch or txn.state in PREPARED):
            raise ApiError(ErrorCode.PRODUCER_FENCED)
        out = Effects()
        if txn.state == TxnState.ONGOING or _aborts_nothing(txn, ending, repeated):
            self._begin_end(txn, ending, take_id, promise, now_ms, out)
        elif not repeated or ending.commit != _committed(txn):
            raise ApiError(ErrorCode.INVALID_TXN_STATE)
        elif txn.state in PREPARED:
            raise ApiError(ErrorCode.CONCURRENT_TRANSACTIONS)
        else:
            out.reply(promise, Producer(txn.producer_id, txn.epoch))
        return out

    def _begin_end(
        self,
        txn: Transaction,
        ending: Ending,
        take_id: TakeId,
        promise: Promise,
        now_ms: int,
        out: Effects,
    ) -> None:
        raises = ending.version >= TxnVersion.V2
        txn = replace(
            txn,
            state=TxnState.PREPARE_COMMIT if ending.commit else TxnState.PREPARE_ABORT,
            epoch=txn.epoch + raises,
            last_epoch=txn.epoch if raises else txn.last_epoch,
            next_producer_id=take_id() if raises and txn.epoch_exhausted else NO_PRODUCER_ID,
            partitions=txn.partitions if txn.state == TxnState.ONGOING else set(),
            start_ms=txn.start_ms if txn.state == TxnState.ONGOING else now_ms,
            update_ms=now_ms,
            client_version=ending.version,
        )
        self._prepare(txn, out)
        done = _completed(txn, now_ms)
        answer = Producer(done.producer_id, done.epoch)
        self._ending[txn.transactional_id] = (promise, answer)
        out.set_timer(("patience", txn.transactional_id), _PATIENCE_MS)

    def _fence(self, txn: Transaction, now_ms: int, out: Effects) -> None:
        """Abort without the producer, which can't write under the old epoch any more."""
        fenced = replace(
            txn,
            state=TxnState.PREPARE_ABORT,
            epoch=min(txn.epoch + 1, LAST_EPOCH),
            last_epoch=NO_EPOCH,
            update_ms=now_ms,
            client_version=TxnVersion.V2,
        )
        self._prepare(fenced, out)

    def _prepare(self, txn: Transaction, out: Effects) -> None:
        self._store(txn, out)
        out.cancel_timer(_timeout(txn.transactional_id))
        out.orders.append(txn.markers())

    def complete(
        self, transactional_id: str, producer: Producer, promise: Promise, now_ms: int
    ) -> Effects:
        """All markers of this producer's prepared transaction are written."""
        out = Effects()
        out.reply(promise, None)
        txn = self.transactions.get(transactional_id)
        if txn is None or txn.state not in PREPARED:
            return out
        if Producer(txn.producer_id, txn.epoch) == producer:
            self._store(_completed(txn, now_ms), out)
            self._answer_end(transactional_id, out)
        return out

    def _answer_end(self, transactional_id: str, out: Effects) -> None:
        promise, answer = self._ending.pop(transactional_id, (None, None))
        if promise is not None:
            out.reply(promise, answer)
            out.cancel_timer(("patience", transactional_id))

    # ---- looks ----

    def describe(self, transactional_id: str) -> Transaction:
        if transactional_id == "":
            raise ApiError(ErrorCode.INVALID_REQUEST)
        txn = self.transactions.get(transactional_id)
        if txn is None:
            raise ApiError(ErrorCode.TRANSACTIONAL_ID_NOT_FOUND)
        return txn

    # ---- time ----

    def on_loaded(self, now_ms: int) -> Effects:
        out = Effects()
        for txn in self.transactions.values():
            if txn.state == TxnState.ONGOING:
                left_ms = txn.start_ms + txn.timeout_ms - now_ms
                out.set_timer(_timeout(txn.transactional_id), max(left_ms, 0))
            elif txn.state in PREPARED:
                out.orders.append(txn.markers())
        out.set_timer(_EXPIRY_TIMER, self._settings.expiry_interval_ms)
        return out

    def on_timer(self, name: TimerName, now_ms: int) -> Effects:
        out = Effects()
        if name == _EXPIRY_TIMER:
            self._expire(now_ms, out)
        elif name[0] == "patience":
            self._answer_end(name[1], out)
        else:
            txn = self.transactions.get(name[1])
            if txn is not None and txn.state == TxnState.ONGOING:
                self._fence(txn, now_ms, out)
        return out

    def _expire(self, now_ms: int, out: Effects) -> None:
        for txn in self.transactions.values():
            idle = txn.state == TxnState.EMPTY or txn.state in COMPLETE
            if idle and now_ms - txn.update_ms >= self._settings.id_expiration_ms:
                out.write(txn.key(), None)
        out.set_timer(_EXPIRY_TIMER, self._settings.expiry_interval_ms)

    # ---- records ----

    def _store(self, txn: Transaction, out: Effects) -> None:
        out.write(txn.key(), txn.stored(), LOG_VALUE_VERSION)
        self._last_epochs[txn.transactional_id] = txn.last_epoch

    def replay(self, record: Record, producer_id: int) -> None:
        key: TransactionLogKey = record.key
        value: TransactionLogValue | None = record.value
        if value is None:
            self.transactions.pop(key.transactional_id, None)
            self._last_epochs.pop(key.transactional_id, None)
            return
        txn = restored(key, value)
        txn.last_epoch = self._last_epochs.get(key.transactional_id, NO_EPOCH)
        self.transactions[key.transactional_id] = txn

    def replay_marker(self, producer: Producer, commit: bool) -> None:
        """No transaction writes to this topic."""


def _timeout(transactional_id: str) -> TimerName:
    return ("timeout", transactional_id)


def _committed(txn: Transaction) -> bool:
    return txn.state in (TxnState.PREPARE_COMMIT, TxnState.COMPLETE_COMMIT)


def _may_go_on(txn: Transaction, expected: Producer) -> bool:
    """Whether a producer that names its id and epoch is still the owner (KIP-360)."""
    if expected.producer_id == txn.producer_id:
        return expected.epoch in (txn.epoch, txn.last_epoch)
    exhausted = expected.epoch >= LAST_EPOCH - 1
    return (
        expected.producer_id == txn.previous_producer_id
        and exhausted
        and (expected.epoch == txn.last_epoch)
    )


def _next_epoch(txn: Transaction, expected: Producer | None, take_id: TakeId) -> Transaction:
    """The producer under its next epoch, or under another id when there is none left."""
    if expected is not None and expected.epoch == txn.last_epoch:
        return txn  # asked again: the answer was lost
    last_epoch = NO_EPOCH if expected is None else txn.epoch
    if txn.epoch_exhausted:
        return replace(
            txn,
            producer_id=take_id(),
            previous_producer_id=txn.producer_id,
            epoch=0,
            last_epoch=last_epoch,
        )
    return replace(
        txn, epoch=txn.epoch + 1, last_epoch=last_epoch, previous_producer_id=txn.producer_id
    )


def _is_repeated(txn: Transaction, ending: Ending) -> bool:
    """Whether this EndTxn has been carried out, and its answer was lost."""
    producer = ending.producer
    if ending.version < TxnVersion.V2:
        same = producer == Producer(txn.producer_id, txn.epoch)
        return same and (txn.state in PREPARED or txn.state in COMPLETE)
    if txn.client_version < TxnVersion.V2:
        return False
    if producer.producer_id == txn.producer_id:
        return producer.epoch + 1 == txn.epoch
    overflowed = txn.epoch == 0 and producer.epoch == LAST_EPOCH - 1
    return overflowed and producer.producer_id == txn.previous_producer_id


def _aborts_nothing(txn: Transaction, ending: Ending, repeated: bool) -> bool:
    """Version 2 lets a producer abort when no partition has been added: it gets a new epoch."""
    idle = txn.state == TxnState.EMPTY or txn.state in COMPLETE
    return ending.version >= TxnVersion.V2 and idle and not ending.commit and not repeated


def _completed(txn: Transaction, now_ms: int) -> Transaction:
    """A prepared transaction after its markers."""
    committed = txn.state == TxnState.PREPARE_COMMIT
    rotates = txn.next_producer_id != NO_PRODUCER_ID
    return replace(
        txn,
        state=TxnState.COMPLETE_COMMIT if committed else TxnState.COMPLETE_ABORT,
        producer_id=txn.next_producer_id if rotates else txn.producer_id,
        previous_producer_id=txn.producer_id,
        next_producer_id=NO_PRODUCER_ID,
        epoch=0 if rotates else txn.epoch,
        last_epoch=txn.epoch if rotates else txn.last_epoch,
        partitions=set(),
        update_ms=now_ms,
    )
