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

_FAILED_STREAMS = {
    "joins with a tag twice": "member_id=member-2 member_epoch=* task_offset_interval_ms=60000 "
    "active_tasks=[(subtopology_id=0 partitions=[0, 1])] standby_tasks=[] warmup_tasks=[]",
    "topology of epoch -1": "error_code=STREAMS_INVALID_TOPOLOGY_EPOCH",
} | {
    f"topology with {title}": "error_code=STREAMS_INVALID_TOPOLOGY"
    for part in (
        "a part twice",
        "partitions together out of range",
        "partitions together below zero",
    )
    for title in (part, f"{part}, again")
}
for _title in ("topology with a changelog twice", "topology with a changelog twice, again"):
    _FAILED_STREAMS[_title] = _FAILED_STREAMS["joins with a tag twice"]
_REPLACED_TWICE = "(error_code=INVALID_REQUEST resource_type=2 resource_name=t)"
_UNFORESEEN |= {("streams", title): answer for title, answer in _FAILED_STREAMS.items()} | {
    ("repeated", "join by a protocol twice"): "generation_id=1 protocol_name=range "
    "leader=member-2 member_id=member-2 members=[(member_id=member-2 metadata=32)]",
    ("repeated", "mark a partition"): "markers=[(producer_id=producer-2 topics=[(name=t "
    "partitions=[(-), (-)])])]",
    ("repeated", "mark a topic"): "markers=[(producer_id=producer-2 topics=[(name=t "
    "partitions=[(-)]), (name=t partitions=[(-)])])]",
    **{
        ("repeated", f"a resource replaced{how}"): f"responses=[{_REPLACED_TWICE}, "
        f"{_REPLACED_TWICE}]"
        for how in ("", " in two ways")
    },
}

_PRODUCED = "responses=[({} partition_responses=[{}])]"
_NO_TOPIC = "error_code=UNKNOWN_TOPIC_OR_PARTITION"
_OF_ID = "topic_id=topic-1"
_FETCHED = "responses=[({} partitions=[{}])]"
_TOPIC_MARKED = "(producer_id=producer-2 topics=[(name=t partitions=[(-)])])"
_EACH_ANSWERED = {
    "produce a partition": _PRODUCED.format("name=p", "(-), (-)"),
    "produce a partition, and another": _PRODUCED.format("name=p", "(-), (-), (index=1)"),
    "produce a topic": "responses=[(name=p partition_responses=[(-)]), "
    "(name=p partition_responses=[(index=1)])]",
    "produce a topic with its partition": "responses=[(name=p partition_responses=[(-)]), "
    "(name=p partition_responses=[(-)])]",
    "produce a partition by id": _PRODUCED.format("topic_id=topic-3", "(-), (-)"),
    "produce an unknown one": _PRODUCED.format("name=no", f"({_NO_TOPIC}), ({_NO_TOPIC})"),
    "produce a partition that is not there": _PRODUCED.format(
        "name=p", f"(index=9 {_NO_TOPIC}), (index=9 {_NO_TOPIC})"
    ),
    "ends after that": "topics=[(name=p partitions=[(offset=9 leader_epoch=0), "
    "(partition_index=1 offset=2 leader_epoch=0)])]",
    "produce the same in it": _PRODUCED.format("name=t", "(-), (-)"),
    "fetch a partition": _FETCHED.format(_OF_ID, "(-), (-)"),
    "fetch a partition at two offsets": _FETCHED.format(
        _OF_ID, "(-), (error_code=OFFSET_OUT_OF_RANGE)"
    ),
    "fetch a partition at two offsets, turned": _FETCHED.format(
        _OF_ID, "(-), (error_code=OFFSET_OUT_OF_RANGE)"
    ),
    "fetch a partition by name": _FETCHED.format("topic=t", "(-), (-)"),
    "fetch a topic": _FETCHED.format(_OF_ID, "(-), (-)"),
    "fetch an unknown topic": _FETCHED.format("topic=no", f"({_NO_TOPIC}), ({_NO_TOPIC})"),
    "fetch a partition in a new session": _FETCHED.format(_OF_ID, "(-), (-)"),
    "mark a producer": f"markers=[{_TOPIC_MARKED}, {_TOPIC_MARKED}]",
}
_TWICE = {("repeated", title): answer for title, answer in _EACH_ANSWERED.items()}

_TOLD_AGAIN = {
    ("streams", f"m with a task {how}"): _FAILED_STREAMS["joins with a tag twice"]
    for how in ("twice", "in two roles")
}

_FORGOTTEN = {
    ("streams", f"joins with an endpoint{how}"): _FAILED_STREAMS["joins with a tag twice"]
    + " endpoint_information_epoch=1"
    for how in ("", " of port 0", " without host")
}

_LOCKED = "acquisition_lock_timeout_ms=* responses=[(topic_id={} partitions=[({})])]"
_GONE = "error_code=UNKNOWN_TOPIC_ID current_leader=(-)"
_GONE_TWICE = "error_code=UNKNOWN_TOPIC_ID acknowledge_" + _GONE
_DELETED = {
    ("share_topics", f"{name}: {what} when it is gone"): _LOCKED.format(topic, answer)
    for name, topic in (("fetched", "topic-1"), ("replaced", "topic-3"))
    for what, answer in (("fetches", _GONE), ("accepts", _GONE_TWICE))
}

_AT_ONCE = {
    ("share_topics", "shortened: accepts what is deleted"): _LOCKED.format(
        "topic-4",
        "current_leader=(-) acquired_records=[(first_offset=4 last_offset=5 delivery_count=1)]",
    ),
    ("share_topics", "offsets of it"): "groups=[(group_id=shortened topics=[(topic_name=shortened "
    "topic_id=topic-4 partitions=[(start_offset=4)])])]",
    ("share_topics", "shortened: gets what is new"): _LOCKED.format(
        "topic-4",
        "current_leader=(-) acquired_records=[(first_offset=6 last_offset=6 delivery_count=1)]",
    ),
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
        "What Kafka has not foreseen is an unknown error of the server there, or a closed "
        "connection, and no mistake of its client; pylog says what is wrong, or takes the last "
        "that is named.",
        _UNFORESEEN,
    ),
    (
        "A partition that is named twice in one Produce or Fetch, or a producer in one "
        "WriteTxnMarkers, is answered twice. Kafka keeps one of them: of two batches in a Produce "
        "the first is lost without a word.",
        _TWICE,
    ),
    (
        "A member of a streams group that reports other tasks than its own is told its tasks.",
        _TOLD_AGAIN,
    ),
    (
        "The epoch of endpoints begins with the first member of a streams group; Kafka forgets "
        "the change that comes with a group's first member.",
        _FORGOTTEN,
    ),
    (
        "A topic that is deleted during a share session is unknown by its id, as it was asked for, "
        "to fetches as to acknowledgements; and one of the same name that was made since is "
        "another. Kafka looks for the name when it fetches.",
        _DELETED,
    ),
    (
        "The start of a share partition follows that of the log at once; in Kafka a fetch that "
        "finds nothing moves it, and the next one is served.",
        _AT_ONCE,
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
