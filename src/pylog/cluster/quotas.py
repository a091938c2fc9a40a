"""Client quotas (KIP-546): which there are, how they are altered, and what of them holds for whom.

Bytes and request time are counted by the engine, to which the rules are pushed. Mutations of
topics are counted here, since only the control plane makes them (KIP-599).
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from pylog.cluster.image import Image, QuotaEntity, encode, quota_key
from pylog.cluster.metadata import Metadata, Proposal
from pylog.cluster.store import Write
from pylog.engine.values import QuotaMatch, QuotaRule
from pylog.protocol.errors import ApiError, ErrorCode

USER: Final = "user"
CLIENT_ID: Final = "client-id"
IP: Final = "ip"
PRODUCER_BYTE_RATE: Final = "producer_byte_rate"
CONSUMER_BYTE_RATE: Final = "consumer_byte_rate"
REQUEST_PERCENTAGE: Final = "request_percentage"
CONTROLLER_MUTATION_RATE: Final = "controller_mutation_rate"
CONNECTION_CREATION_RATE: Final = "connection_creation_rate"

_LONG_MAX: Final = 2**63 - 1
# Quotas by what they are for; the largest value of those that are whole numbers.
_CLIENT_QUOTAS: Final[Mapping[str, int | None]] = {
    PRODUCER_BYTE_RATE: _LONG_MAX,
    CONSUMER_BYTE_RATE: _LONG_MAX,
    REQUEST_PERCENTAGE: None,
    CONTROLLER_MUTATION_RATE: None,
}
_IP_QUOTAS: Final[Mapping[str, int | None]] = {CONNECTION_CREATION_RATE: 2**31 - 1}
_ENGINE_QUOTAS: Final = (
    PRODUCER_BYTE_RATE,
    CONSUMER_BYTE_RATE,
    REQUEST_PERCENTAGE,
    CONNECTION_CREATION_RATE,
)
_WHOLE: Final = 1e-6
_BURST_S: Final = 11  # quota.window.num windows of a second: what may be saved up


class Match(NamedTuple):
    """One component of a filter: by name, None for the default, ``any_name`` for all there are."""

    type: str
    name: str | None = None
    any_name: bool = False


@dataclass(frozen=True, slots=True)
class Alteration:
    """The quotas of one entity to set, or with None to remove."""

    entity: Sequence[tuple[str, str | None]]
    values: Sequence[tuple[str, float | None]]


class Quotas:
    """Alters and describes quotas; all brokers follow through the image."""

    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata
        self._seen: Mapping[QuotaEntity, Mapping[str, float]] = {}
        self._limited: frozenset[str] = frozenset()

    @property
    def limit_time(self) -> bool:
        """Whether the time of any request is limited."""
        return REQUEST_PERCENTAGE in self._kinds()

    @property
    def limit_fetch(self) -> bool:
        """Whether the bytes that any client fetches are limited."""
        return CONSUMER_BYTE_RATE in self._kinds()

    def _kinds(self) -> frozenset[str]:
        quotas = self._metadata.image.quotas
        if quotas is not self._seen:
            self._seen = quotas
            self._limited = frozenset(name for values in quotas.values() for name in values)
        return self._limited

    async def alter(
        self, alterations: Sequence[Alteration], *, validate_only: bool = False
    ) -> list[ApiError | None]:
        """Alter quotas, in one commit; a result for each. What is refused is not altered."""
        results: list[ApiError | None] = []
        counts = Counter(frozenset(alteration.entity) for alteration in alterations)

        def plan(image: Image) -> Proposal:
            results.clear()
            writes = []
            for alteration in alterations:
                try:
                    if counts[frozenset(alteration.entity)] > 1:
                        raise _invalid("The entity is named more than once.")
                    writes.append(_write_of(image, alteration))
                    results.append(None)
                except ApiError as error:
                    results.append(error)
            return Proposal([] if validate_only else writes)

        await self._metadata.propose(plan)
        return results

    def describe(
        self, matches: Sequence[Match], *, strict: bool
    ) -> dict[QuotaEntity, Mapping[str, float]]:
        """The quotas of the entities that have all components, with ``strict`` no others."""
        types = [match.type for match in matches]
        _check_types(types)
        return {
            entity: values
            for entity, values in self._metadata.image.quotas.items()
            if (not strict or len(entity) == len(matches))
            and all(_has(dict(entity), match) for match in matches)
        }


def _invalid(reason: str) -> ApiError:
    return ApiError(ErrorCode.INVALID_REQUEST, reason)


def _check_types(types: Sequence[str]) -> None:
    if len(set(types)) != len(types):
        raise _invalid("An entity type is named more than once.")
    for name in types:
        if not name:
            raise _invalid("Empty entity type.")
        if name not in (USER, CLIENT_ID, IP):
            raise ApiError(ErrorCode.UNSUPPORTED_VERSION, f"Unsupported entity type {name}.")
    if IP in types and len(types) > 1:
        raise _invalid("An IP address goes with neither a user nor a client id.")


def _has(entity: Mapping[str, str | None], match: Match) -> bool:
    return match.type in entity and (match.any_name or entity[match.type] == match.name)


def _write_of(image: Image, alteration: Alteration) -> Write:
    entity = _entity_of(alteration.entity)
    values = dict(image.quotas.get(entity, {}))
    names = [name for name, _ in alteration.values]
    if len(set(names)) != len(names):
        raise _invalid("A quota is named more than once.")
    allowed = _IP_QUOTAS if IP in dict(entity) else _CLIENT_QUOTAS
    for name, value in alteration.values:
        if value is None:
            values.pop(name, None)
        else:
            _check_value(allowed, name, value)
            values[name] = value
    key = quota_key(entity)
    return Write(key, encode(values) if values else None, image.version(key))


def _entity_of(pairs: Sequence[tuple[str, str | None]]) -> QuotaEntity:
    if not pairs:
        raise _invalid("Empty quota entity.")
    for of, _ in pairs:
        if of not in (USER, CLIENT_ID, IP):
            raise _invalid(f"Unhandled quota entity type: {of}.")
    _check_types([of for of, _ in pairs])
    for of, name in pairs:
        if name == "":
            raise _invalid(f"Empty {of}.")
        if of == IP and name is not None:
            _check_address(name)
    return tuple(sorted(pairs))


def _check_address(text: str) -> None:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise _invalid(f"{text} is no IP address.") from None


def _check_value(allowed: Mapping[str, int | None], name: str, value: float) -> None:
    if name not in allowed:
        raise _invalid(f"Invalid quota {name}.")
    if not value > 0:
        raise _invalid(f"Quota {name} must be greater than 0.")
    most = allowed[name]
    if most is None:
        if not math.isfinite(value):
            raise _invalid(f"Quota {name} must be finite.")
    elif value > most:
        raise _invalid(f"Quota {name} is too large.")
    elif value % 1 > _WHOLE:
        raise _invalid(f"Quota {name} cannot be a fractional value.")


# ---- what holds ----


_Matches = tuple[tuple[QuotaMatch, str], tuple[QuotaMatch, str]]  # of user and client id


def engine_rules(quotas: Mapping[QuotaEntity, Mapping[str, float]]) -> list[QuotaRule]:
    """What the engine has to know. An address stands in the place of a client id."""
    limits: dict[_Matches, dict[str, float]] = {}
    for entity, values in quotas.items():
        parts = dict(entity)
        matches = _matching(parts, USER), _matching(parts, IP if IP in parts else CLIENT_ID)
        limits.setdefault(matches, {}).update(values)
    return [
        QuotaRule(*matches, tuple(values.get(name) for name in _ENGINE_QUOTAS))
        for matches, values in limits.items()
        if values.keys() & set(_ENGINE_QUOTAS)
    ]


def _matching(parts: Mapping[str, str | None], of: str) -> tuple[QuotaMatch, str]:
    if of not in parts:
        return QuotaMatch.ANY, ""
    name = parts[of]
    return (QuotaMatch.DEFAULT, "") if name is None else (QuotaMatch.NAMED, name)


def candidates(user: str, client_id: str) -> Iterable[tuple[QuotaEntity, QuotaEntity]]:
    """The entities whose quota may hold for a client, strongest first, each with what shares it."""
    users: tuple[tuple[str | None, ...], ...] = ((user,), (None,), ())
    ids: tuple[tuple[str | None, ...], ...] = ((client_id,), (None,), ())
    for named_user in users:
        for named_id in ids:
            entity = _pairs(named_user, named_id)
            if entity:
                shared = _pairs((user,) if named_user else (), (client_id,) if named_id else ())
                yield entity, shared


def _pairs(user: Sequence[str | None], client_id: Sequence[str | None]) -> QuotaEntity:
    """In the order of the types: client-id, user."""
    return tuple((CLIENT_ID, name) for name in client_id) + tuple((USER, name) for name in user)


@dataclass(slots=True)
class _Bucket:
    """What a client may still mutate; it fills with the rate. Below zero the client waits."""

    tokens: float
    filled_s: float


class MutationQuota:
    """Counts mutations of topics: a partition made or deleted is one (KIP-599)."""

    def __init__(self, image: Callable[[], Image], now_s: Callable[[], float] = time.monotonic):
        self._image = image
        self._now_s = now_s
        self._buckets: dict[QuotaEntity, _Bucket] = {}

    def charge(self, user: str, client_id: str, mutations: int, *, strict: bool) -> int:
        """Returns for how many ms to throttle the client.

        A client that knows the error (``strict``) and has used up its quota is refused with
        THROTTLING_QUOTA_EXCEEDED; what is left may be overdrawn by one request.
        """
        rate, shared = self._rate_of(user, client_id)
        if rate is None:
            return 0
        bucket = self._filled(shared, rate)
        if bucket.tokens < 0 and strict:
            raise ApiError(ErrorCode.THROTTLING_QUOTA_EXCEEDED)
        bucket.tokens -= mutations
        return wait_ms(bucket.tokens, rate)

    def wait(self, user: str, client_id: str) -> int:
        """For how many ms a client that was refused has to wait."""
        rate, shared = self._rate_of(user, client_id)
        return 0 if rate is None else wait_ms(self._filled(shared, rate).tokens, rate)

    def _rate_of(self, user: str, client_id: str) -> tuple[float | None, QuotaEntity]:
        quotas = self._image().quotas
        if quotas:
            for entity, shared in candidates(user, client_id):
                rate = quotas.get(entity, {}).get(CONTROLLER_MUTATION_RATE)
                if rate is not None:
                    return rate, shared
        self._buckets.clear()
        return None, ()

    def _filled(self, shared: QuotaEntity, rate: float) -> _Bucket:
        now_s = self._now_s()
        most = rate * _BURST_S
        bucket = self._buckets.setdefault(shared, _Bucket(most, now_s))
        bucket.tokens = min(most, bucket.tokens + (now_s - bucket.filled_s) * rate)
        bucket.filled_s = now_s
        return bucket


def wait_ms(tokens: float, rate: float) -> int:
    """Until a bucket that is overdrawn is at zero again."""
    return math.ceil(-tokens / rate * 1000) if tokens < 0 else 0
