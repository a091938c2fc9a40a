"""Users that authenticate by SCRAM: their credentials, and how they are altered (KIP-554)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pylog.cluster.image import Image, encode, user_key
from pylog.cluster.metadata import Metadata, Proposal
from pylog.cluster.store import Write
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.security.credentials import Credential, ScramMechanism

_TWICE: Final = "A user can be named only once in a request."


@dataclass(frozen=True, slots=True)
class Deletion:
    """A credential to delete."""

    user: str
    mechanism: int


@dataclass(frozen=True, slots=True)
class Upsertion:
    """A credential to set, from a password that the client has salted and hashed."""

    user: str
    mechanism: int
    iterations: int
    salt: bytes
    salted_password: bytes


class Users:
    """Alters and finds credentials; all brokers follow through the image."""

    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata

    def find(self, user: str, mechanism: ScramMechanism) -> Credential | None:
        """The credential of a user, or None."""
        return self._metadata.image.users.get(user, {}).get(mechanism)

    def describe(self, names: Sequence[str] | None) -> dict[str, list[tuple[int, int]] | ApiError]:
        """Mechanism and iterations of each credential, by user; None names all."""
        users = self._metadata.image.users
        counts = Counter(names or list(users))  # of a mapping, Counter takes the values for counts
        return {
            name: self._describe_one(name) if count == 1 else _duplicate()
            for name, count in counts.items()
        }

    def _describe_one(self, name: str) -> list[tuple[int, int]] | ApiError:
        found = self._metadata.image.users.get(name)
        if found is None:
            return ApiError(ErrorCode.RESOURCE_NOT_FOUND, f"No user {name} has a credential.")
        return [(mechanism, credential.iterations) for mechanism, credential in found.items()]

    async def alter(
        self, deletions: Sequence[Deletion], upsertions: Sequence[Upsertion]
    ) -> dict[str, ApiError | None]:
        """Alter credentials in one commit; a result for each user: the first thing that is
        wrong. One that is named twice, even with two mechanisms, is not altered."""
        items: list[Deletion | Upsertion] = [*deletions, *upsertions]
        counts = Counter(item.user for item in items)
        results: dict[str, ApiError | None] = {}

        def plan(image: Image) -> Proposal:
            results.clear()
            writes = []
            for item in items:
                try:
                    write = _write_of(image, item)
                    if counts[item.user] > 1:
                        raise _duplicate()
                    writes.append(write)
                    results[item.user] = None
                except ApiError as error:
                    results.setdefault(item.user, error)
            return Proposal(writes)

        await self._metadata.propose(plan)
        return results


def _duplicate() -> ApiError:
    return ApiError(ErrorCode.DUPLICATE_RESOURCE, _TWICE)


def _write_of(image: Image, item: Deletion | Upsertion) -> Write:
    from pylog.security.scram import MAX_ITERATIONS, MIN_ITERATIONS, credential_of

    mechanism = _check(item.user, item.mechanism)
    key = user_key(mechanism, item.user)
    version = image.version(key)
    if isinstance(item, Deletion):
        if not version:
            raise ApiError(ErrorCode.RESOURCE_NOT_FOUND, "The user has no such credential.")
        return Write(key, None, version)
    if not MIN_ITERATIONS <= item.iterations <= MAX_ITERATIONS:
        reason = f"Iterations must be from {MIN_ITERATIONS} to {MAX_ITERATIONS}."
        raise ApiError(ErrorCode.UNACCEPTABLE_CREDENTIAL, reason)
    if not item.salt or not item.salted_password:
        raise ApiError(ErrorCode.UNACCEPTABLE_CREDENTIAL, "Salt and password must not be empty.")
    made = credential_of(mechanism, item.salt, item.iterations, item.salted_password)
    value = {
        "salt": made.salt.hex(),
        "iterations": made.iterations,
        "stored_key": made.stored_key.hex(),
        "server_key": made.server_key.hex(),
    }
    return Write(key, encode(value), version)


def _check(user: str, mechanism: int) -> ScramMechanism:
    if not user:
        raise ApiError(ErrorCode.UNACCEPTABLE_CREDENTIAL, "Username must not be empty.")
    if mechanism not in ScramMechanism.__members__.values():
        raise ApiError(ErrorCode.UNSUPPORTED_SASL_MECHANISM, "Unknown SCRAM mechanism.")
    return ScramMechanism(mechanism)
