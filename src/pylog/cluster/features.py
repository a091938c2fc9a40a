"""Features of the cluster (KIP-584): what this broker supports, and the level of a new cluster.

A feature stands here once everything that a client may conclude from it is served.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from pylog.cluster.configs import ALL_BROKERS, ELIGIBLE_LEADERS, MIN_IN_SYNC
from pylog.cluster.image import Image, config_key, encode, feature_key
from pylog.cluster.metadata import Metadata, Proposal
from pylog.cluster.store import Write
from pylog.config import BrokerConfig
from pylog.protocol.errors import ApiError, ErrorCode

METADATA: Final = "metadata.version"
QUORUM: Final = "kraft.version"
# As in Kafka, whose metadata at these levels could not be read at lower ones.
_ONE_WAY: Final = (METADATA, QUORUM)


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
        Feature(METADATA, 7, 33, 33),
        # 1: the quorum of controllers is described by their directories (KIP-853). This one's only
        # member is the broker, and stays it.
        Feature(QUORUM, 0, 1, 1),
        # 1: consumer groups whose broker assigns (KIP-848).
        Feature("group.version", 0, 1, 1),
        # 1: share groups (KIP-932); 2: their dead letter queues (KIP-1191).
        Feature("share.version", 0, 2, 2),
        # 1: streams groups (KIP-1071).
        Feature("streams.version", 0, 1, 1),
        # 2: partitions take part by being written to, every end raises the epoch (KIP-890).
        Feature("transaction.version", 0, 2, 2),
        # 1: the number of copies in sync is the same on all brokers (KIP-966). With one copy of
        # each partition there is never an eligible leader beside the leader itself.
        Feature(ELIGIBLE_LEADERS, 0, 1, 1),
    )
}


class FeatureUpdate(NamedTuple):
    """A level to set; a lower one than now has to be called a downgrade."""

    name: str
    level: int
    downgrade: bool


def features_of_new_cluster(image: Image, config: BrokerConfig) -> list[Write]:
    """Every feature at its default level, and the settings that come with them."""
    levels = {item.name: item.default for item in FEATURES.values() if item.default}
    writes = [Write(feature_key(name), encode(level), 0) for name, level in levels.items()]
    return writes + _settings_in_common(image, config)


async def update_features(
    metadata: Metadata,
    config: BrokerConfig,
    updates: Sequence[FeatureUpdate],
    *,
    validate_only: bool = False,
) -> None:
    """Set the levels in one commit; ApiError for the first update that is not in order.

    Of a feature that is given more than once the last level holds.
    """
    updates = list({update.name: update for update in updates}.values())

    def plan(image: Image) -> Proposal:
        writes = []
        for update in updates:
            _check(image, update)
            key = feature_key(update.name)
            value = encode(update.level) if update.level else None
            if update.level != image.features.get(update.name, 0):
                writes.append(Write(key, value, image.version(key)))
                if update.name == ELIGIBLE_LEADERS and update.level:
                    writes += _settings_in_common(image, config)
        return Proposal([] if validate_only else writes)

    await metadata.propose(plan)


def _settings_in_common(image: Image, config: BrokerConfig) -> list[Write]:
    """Make what ELIGIBLE_LEADERS wants alike on all brokers a setting of all, and of none alone."""
    writes = []
    for name, texts in image.configs_of("broker").items():
        if name != ALL_BROKERS and MIN_IN_SYNC in texts:
            rest = {key: text for key, text in texts.items() if key != MIN_IN_SYNC}
            key = config_key("broker", name)
            writes.append(Write(key, encode(rest) if rest else None, image.version(key)))
    of_all = image.config("broker", ALL_BROKERS)
    if MIN_IN_SYNC not in of_all:
        key = config_key("broker", ALL_BROKERS)
        value = encode({**of_all, MIN_IN_SYNC: str(config.integer(MIN_IN_SYNC))})
        writes.append(Write(key, value, image.version(key)))
    return writes


def _check(image: Image, update: FeatureUpdate) -> None:
    feature = FEATURES.get(update.name)
    now = image.features.get(update.name, 0)
    if feature is None:
        reason = "this broker does not know it"
    elif not feature.minimum <= update.level <= feature.maximum:
        reason = f"levels {feature.minimum} to {feature.maximum} are supported"
    elif update.level < now and update.name in _ONE_WAY:
        reason = f"level {now} is set, and this feature can't be downgraded"
    elif update.level < now and not update.downgrade:
        reason = f"level {now} is set, and this was not called a downgrade"
    elif update.level > now and update.downgrade:
        reason = f"level {now} is set, and this was called a downgrade"
    else:
        return
    raise ApiError(
        ErrorCode.INVALID_UPDATE_VERSION,
        f"Feature {update.name} can't be set to level {update.level}: {reason}.",
    )
