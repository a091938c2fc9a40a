"""Features of the cluster (KIP-584): what this broker supports, and the level of a new cluster.

A feature stands here once everything that a client may conclude from it is served.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Feature(NamedTuple):
    """A feature with the levels that are supported; ``default`` 0 leaves it off."""

    name: str
    minimum: int
    maximum: int
    default: int


FEATURES: Final = {
    feature.name: feature
    for feature in (
        # Levels of Kafka's own metadata log, 3.3-IV3 to 4.4-IV2: tools print it as the release.
        Feature("metadata.version", 7, 33, 33),
        # 2: partitions take part by being written to, every end raises the epoch (KIP-890).
        Feature("transaction.version", 0, 2, 2),
    )
}
