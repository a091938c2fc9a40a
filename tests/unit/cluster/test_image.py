"""The image: what lies in the store, as one value."""

from __future__ import annotations

from pylog.cluster.image import (
    CLUSTER_KEY,
    Image,
    PartitionImage,
    advance,
    broker_key,
    config_key,
    encode,
    encode_broker,
    encode_partition,
    encode_topic,
    feature_key,
    image_of,
    partition_key,
    topic_key,
)
from pylog.cluster.store import Change, Commit, Entry, Snapshot

ID = bytes(range(16))


def stored(revision: int, **values: bytes | None) -> Commit:
    """A commit of keys, in which __ stands for a slash."""
    return Commit(
        revision,
        [
            Change(key, None if value is None else Entry(value, revision, revision))
            for key, value in values.items()
        ],
    )


def with_topic(*assignment: list[int]) -> Image:
    return advance(Image(), stored(1, **{topic_key("t"): encode_topic(ID, assignment)}))


def test_a_whole_store_becomes_an_image() -> None:
    values = {
        CLUSTER_KEY: encode({"id": "abc"}),
        broker_key(1): encode_broker({"PLAINTEXT": ("host", 9092)}, "rack"),
        topic_key("t"): encode_topic(ID, [[1], [1]]),
        config_key("topic", "t"): encode({"retention.ms": "5"}),
        feature_key("group.version"): encode(1),
    }
    entries = {key: Entry(value, 3, 4) for key, value in values.items()}
    image = image_of(Snapshot(7, entries))
    assert (image.revision, image.cluster_id, image.features) == (7, "abc", {"group.version": 1})
    assert image.brokers[1].listeners == {"PLAINTEXT": ("host", 9092)}
    assert (image.brokers[1].epoch, image.brokers[1].rack) == (3, "rack")
    assert image.topics["t"].partitions == (PartitionImage((1,), (1,), 1),) * 2
    assert image.config("topic", "t") == {"retention.ms": "5"}
    assert image.version(topic_key("t")) == 4
    assert image.topic_by_id(ID) is image.topics["t"]


def test_a_partition_is_led_by_its_first_replica_until_something_else_is_stored() -> None:
    image = with_topic([2, 1], [1, 2])
    assert [state.leader for state in image.topics["t"].partitions] == [2, 1]
    moved = PartitionImage((2, 1), (1,), 1, 5, 6)
    image = advance(image, stored(2, **{partition_key(ID, 0): encode_partition(moved)}))
    assert image.topics["t"].partitions[0] == moved
    assert image.topics["t"].partitions[1].leader == 1


def test_a_topic_that_grows_keeps_the_state_of_its_partitions() -> None:
    state = PartitionImage((1,), (1,), 1, 3, 3)
    image = advance(with_topic([1]), stored(2, **{partition_key(ID, 0): encode_partition(state)}))
    image = advance(image, stored(3, **{topic_key("t"): encode_topic(ID, [[1], [1]])}))
    assert [p.leader_epoch for p in image.topics["t"].partitions] == [3, 0]


def test_a_topic_made_anew_forgets_the_state_of_the_old_one() -> None:
    state = PartitionImage((1,), (1,), 1, 3, 3)
    image = advance(with_topic([1]), stored(2, **{partition_key(ID, 0): encode_partition(state)}))
    other = bytes(16)
    image = advance(image, stored(3, **{topic_key("t"): encode_topic(other, [[1]])}))
    assert image.topics["t"].partitions[0].leader_epoch == 0
    assert image.topic_by_id(ID) is None


def test_states_are_taken_in_any_order_of_a_commit() -> None:
    state = PartitionImage((1,), (1,), 1, 3, 3)
    commit = stored(
        1,
        **{partition_key(ID, 0): encode_partition(state), topic_key("t"): encode_topic(ID, [[1]])},
    )
    assert advance(Image(), commit).topics["t"].partitions == (state,)


def test_deleting_a_topic_takes_name_id_and_settings_away() -> None:
    image = advance(with_topic([1]), stored(2, **{config_key("topic", "t"): encode({"a": "b"})}))
    keys = {topic_key("t"): None, config_key("topic", "t"): None, partition_key(ID, 0): None}
    image = advance(image, stored(3, **keys))
    assert (image.topics, image.topic_names, image.configs, image.versions) == ({}, {}, {}, {})


def test_an_image_never_changes() -> None:
    before = with_topic([1])
    advance(before, stored(2, **{topic_key("u"): encode_topic(bytes(16), [[1]])}))
    assert list(before.topics) == ["t"]


def test_tables_that_a_commit_leaves_alone_are_shared() -> None:
    before = with_topic([1])
    after = advance(before, stored(2, **{feature_key("f"): encode(1)}))
    assert after.topics is before.topics
