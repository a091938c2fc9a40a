"""Settings: reading, checking and resolving."""

from __future__ import annotations

from pathlib import Path

import pytest

from pylog.config import (
    BrokerConfig,
    ConfigError,
    Option,
    Source,
    from_environment,
    from_file,
    from_pairs,
)
from pylog.options import BROKER, GROUP, TOPIC


def config(**texts: str) -> BrokerConfig:
    return BrokerConfig(BROKER, {name.replace("_", "."): text for name, text in texts.items()})


def test_every_default_is_a_value_that_the_setting_may_have() -> None:
    for table in (BROKER, TOPIC):
        for option in table.by_name.values():
            if option.default is not None:
                option.parse(option.default)


def test_a_topic_setting_falls_back_on_broker_settings_that_exist() -> None:
    for option in TOPIC.by_name.values():
        for synonym in option.synonyms:
            assert synonym.name in BROKER.by_name


def test_a_topic_can_have_every_value_that_the_broker_gives_it() -> None:
    for option in TOPIC.by_name.values():
        for synonym in option.synonyms:
            for number in (-2, -1, 0, 1, 14):
                if takes(BROKER[synonym.name], number):
                    given = number * synonym.factor if number > 0 else number
                    assert takes(option, given), (option.name, synonym.name, number)


def takes(option: Option, number: int) -> bool:
    try:
        option.parse(str(number))
    except ConfigError:
        return False
    return True


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("num.partitions", "many", "not a whole number"),
        ("num.partitions", "0", "at least 1"),
        ("num.partitions", "99999999999", "32 bits"),
        ("num.partitions", "1_0", "not a whole number"),
        ("log.cleaner.min.cleanable.ratio", "nan", "not a number"),
        ("auto.create.topics.enable", "yes", "true or false"),
        ("log.cleanup.policy", "delete,shred", "compact, delete"),
        ("log.cleaner.min.cleanable.ratio", "1.5", "from 0 to 1"),
        ("compression.gzip.level", "10", "from 1 to 9"),
        ("log.dirs", "a,b,a", "named twice"),
        ("listener.security.protocol.map", "PLAINTEXT", "NAME:PROTOCOL"),
    ],
)
def test_a_wrong_value_is_refused_with_its_reason(name: str, text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as caught:
        BrokerConfig(BROKER, {name: text})
    assert name in str(caught.value)
    assert text in str(caught.value)


def test_an_unknown_setting_is_refused_with_the_nearest_known() -> None:
    with pytest.raises(ConfigError, match=r"num.partition.*did you mean num.partitions\?"):
        BrokerConfig(BROKER, {"num.partition": "3"})


def test_values_are_typed() -> None:
    settings = config(num_partitions="3", log_cleanup_policy=" compact, delete ")
    assert settings.integer("num.partitions") == 3
    assert settings.items("log.cleanup.policy") == ["compact", "delete"]
    assert settings.flag("auto.create.topics.enable") is True
    assert settings.optional_text("broker.rack") is None


def test_dynamic_settings_win_those_of_the_broker_over_those_of_all() -> None:
    settings = config(log_retention_ms="1")
    assert settings.integer("log.retention.ms") == 1
    settings.set_dynamic({}, {"log.retention.ms": "2"})
    assert settings.integer("log.retention.ms") == 2
    settings.set_dynamic({"log.retention.ms": "3"}, {"log.retention.ms": "2"})
    assert settings.integer("log.retention.ms") == 3
    sources = [origin.source for origin in settings.origins("log.retention.ms")]
    assert sources == [Source.BROKER, Source.CLUSTER, Source.STATIC]


def test_a_topic_takes_the_first_broker_setting_of_its_synonyms_in_its_own_unit() -> None:
    option = TOPIC["retention.ms"]
    assert config().resource_value(option, {}) == 168 * 3_600_000
    assert config(log_retention_hours="2").resource_value(option, {}) == 7_200_000
    both = config(log_retention_hours="2", log_retention_minutes="5")
    assert both.resource_value(option, {}) == 300_000
    assert both.resource_value(option, {"retention.ms": "7"}) == 7
    forever = config(log_retention_hours="-1")
    assert forever.resource_value(option, {}) == -1


def test_the_origins_of_a_topic_setting_name_the_synonyms_with_their_own_values() -> None:
    settings = config(log_retention_hours="2")
    origins = settings.resource_origins(TOPIC["retention.ms"], {"retention.ms": "7"}, Source.TOPIC)
    assert [(o.name, o.text, o.source) for o in origins] == [
        ("retention.ms", "7", Source.TOPIC),
        ("log.retention.hours", "2", Source.STATIC),
        ("log.retention.hours", "168", Source.DEFAULT),
    ]


def test_a_file_may_use_quoted_names_or_tables(tmp_path: Path) -> None:
    path = tmp_path / "pylog.toml"
    path.write_text(
        '"num.partitions" = 3\nlog.durability = "os"\n'
        '[log.cleanup]\npolicy = ["compact", "delete"]\n'
        "[auto]\ncreate.topics.enable = false\n"
    )
    assert from_file(path) == {
        "num.partitions": "3",
        "log.durability": "os",
        "log.cleanup.policy": "compact,delete",
        "auto.create.topics.enable": "false",
    }


@pytest.mark.parametrize("text", ["not toml", None])
def test_a_file_that_can_not_be_read_is_named(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "pylog.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=r"pylog\.toml"):
        from_file(path)


def test_variables_of_the_environment_name_settings_in_capitals() -> None:
    found = from_environment(
        BROKER, {"PYLOG_LOG_SEGMENT_BYTES": "1048576", "PYLOG_BOOTSTRAP": "x", "PATH": "y"}
    )
    assert found == {"log.segment.bytes": "1048576"}


def test_pairs_are_split_at_the_first_equals_sign() -> None:
    assert from_pairs(["a.b=c=d", "e="]) == {"a.b": "c=d", "e": ""}
    for wrong in ("novalue", "=x"):
        with pytest.raises(ConfigError, match="NAME=VALUE"):
            from_pairs([wrong])


def test_a_setting_that_only_kafka_has_a_use_for_is_checked_and_told() -> None:
    settings = config(num_io_threads="8", log_retention_hours="2")
    assert [option.name for option in settings.without_effect] == ["num.io.threads"]
    assert "No effect here" in BROKER["num.io.threads"].doc
    with pytest.raises(ConfigError, match=r"num\.io\.threads: must be at least 1"):
        config(num_io_threads="0")
    with pytest.raises(ConfigError, match=r"num\.oi\.threads \(did you mean num\.io\.threads"):
        config(num_oi_threads="8")


def test_every_default_is_a_value_that_the_setting_takes() -> None:
    for table in (BROKER, TOPIC, GROUP):
        for option in table.by_name.values():
            if option.default is not None:
                option.parse(option.default)
