"""Where pylog answers otherwise than Apache Kafka, and why: by scene and title, pylog's answer."""

from __future__ import annotations

_BROKER = "brokers=[(node_id=1 host=host-1 port=port-1)] cluster_id=cluster-1 controller_id=1"

_UNFORESEEN = {
    ("cluster", "users: no password"): "results=[(user=eve error_code=UNACCEPTABLE_CREDENTIAL)]",
    ("consumers", "fetch by no member"): "groups=[(group_id=c error_code=UNKNOWN_MEMBER_ID)]",
    ("partitions", "produce of a huge length"): "responses=[(name=damaged "
    "partition_responses=[(error_code=INVALID_RECORD current_leader=(-))])]",
    ("partitions", "produce with an unknown compression"): "responses=[(name=damaged "
    "partition_responses=[(error_code=INVALID_RECORD current_leader=(-))])]",
    ("topics", "metadata by neither v12"): f"{_BROKER} "
    "topics=[(error_code=INVALID_REQUEST name=None)]",
    ("topics", "metadata by neither v13"): f"{_BROKER} "
    "topics=[(error_code=INVALID_REQUEST name=None)]",
    ("topics", "partitions of a wrong name"): "topics=[(error_code=INVALID_TOPIC_EXCEPTION "
    "name=a b), (error_code=INVALID_TOPIC_EXCEPTION)]",
}

_PACKED = {
    ("partitions", "produce with gzip that is none"): "responses=[(name=damaged "
    "partition_responses=[(current_leader=(-))])]",
}

_EARLIER = {
    ("partitions", "produce epoch -1"): "responses=[(name=both partition_responses=[(index=1 "
    "error_code=INVALID_RECORD base_offset=-1 current_leader=(-))])]",
}

_REFUSED = "responses=[(error_code={} resource_type={} resource_name={})]"


def _of_broker(title: str, code: str) -> dict[tuple[str, str], str]:
    """Of this broker, and of all brokers."""
    return {
        ("configs", f"alter 4 '1' {title}"): _REFUSED.format(code, 4, 1),
        ("configs", f"alter 4 '' {title}"): f"responses=[(error_code={code} resource_type=4)]",
    }


_MISTAKES = {
    **_of_broker("unknown.setting=1", "INVALID_CONFIG"),
    ("configs", "alter by an unknown operation"): _REFUSED.format("INVALID_REQUEST", 2, "orders"),
    ("configs", "alter by a negative operation"): _REFUSED.format("INVALID_REQUEST", 2, "orders"),
}

_READ_ONLY = (
    "results=[(resource_type=4 resource_name=1 configs=[(name={name} value={value} read_only=True "
    "config_source=5 synonyms=[(name={name} value={value} source=5)] config_type=3)])]"
)

_FIXED = {
    ("configs", f"describe broker {name}"): _READ_ONLY.format(name=name, value=value)
    for name, value in (("max.connections", 2147483647), ("background.threads", 10))
}
_FIXED |= _of_broker("max.connections=1000", "INVALID_REQUEST")
_FIXED |= _of_broker("background.threads=20", "INVALID_REQUEST")

REASONS = (
    (
        "What Kafka has not foreseen is an unknown error of the server there, and no mistake of "
        "its client; pylog says what is wrong.",
        _UNFORESEEN,
    ),
    (
        "pylog does not unpack what it need not change: a batch is checked by its header and its "
        "checksum.",
        _PACKED,
    ),
    (
        "A batch without a sensible producer is refused before its producer is looked up.",
        _EARLIER,
    ),
    (
        "A setting of a broker that neither Kafka nor pylog knows, or an operation that does not "
        "exist, is a mistake of the client; Kafka keeps the one and fails at the other.",
        _MISTAKES,
    ),
    (
        "Threads and the bound of connections are those that the broker was started with.",
        _FIXED,
    ),
)
"""Why, and which answers; `docs/differences.md` lists them."""

DIFFERENCES = {which: answer for _, answers in REASONS for which, answer in answers.items()}
