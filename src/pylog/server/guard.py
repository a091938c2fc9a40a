"""Authorisation of the control lane, by the table of ``security/rules.py``.

A need of the whole request refuses all of it. A need of each item of a list takes the items that
are refused out of the request, and puts their answers into the response; so handlers see only what
is allowed. What may not be described is taken out of the response.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from pylog.apis.context import RequestContext
from pylog.cluster.configs import ResourceType as ConfigType
from pylog.protocol.api_keys import response_class
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.message import ZERO_UUID, Message, Struct
from pylog.security.acl import CLUSTER_NAME, ResourceType
from pylog.security.operations import Operation
from pylog.security.rules import RULES, Items, Rule
from pylog.server.access import Access
from pylog.server.dispatch import Unanswerable, error_response

Handle = Callable[[Any, RequestContext], Awaitable[Message | None]]

_FIND_COORDINATOR: Final = 10
_CREATE_TOPICS_OF_METADATA: Final = 3
_INIT_PRODUCER_ID: Final = 22
_ADD_PARTITIONS_TO_TXN: Final = 24
_OFFSET_FETCH: Final = 9
_SUBSCRIBE: Final = (68, 76)  # heartbeats of consumer and share groups
_DESCRIBE_ASSIGNMENTS: Final = (69, 77)
_NOT_ASKED_FOR: Final = -(2**31)  # in fields of authorized operations
_GROUP_KEY, _TRANSACTION_KEY = 0, 1  # of FindCoordinator

_ERRORS: Final = {
    ResourceType.TOPIC: ErrorCode.TOPIC_AUTHORIZATION_FAILED,
    ResourceType.GROUP: ErrorCode.GROUP_AUTHORIZATION_FAILED,
    ResourceType.CLUSTER: ErrorCode.CLUSTER_AUTHORIZATION_FAILED,
    ResourceType.TRANSACTIONAL_ID: ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
}


class _Refused(NamedTuple):
    items: Items
    item: Any
    code: ErrorCode


class Guard:
    """Serves requests as far as their sender may make them."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def serve(
        self, handle: Handle, request: Message, context: RequestContext
    ) -> Message | None:
        """What the handler answers to what is allowed, and refusals. ApiError for all of it."""
        rule = RULES.get(context.api_key, _NOTHING)
        judge = _Judge(self._access, request, context)
        error = judge.refusal_of_all(rule)
        if error is not None and not (rule.items and _has_no_place_for(error, context)):
            raise error
        refused = list(judge.take_out(rule.items, error))
        left = any(getattr(request, items.request) for items in rule.items)
        if refused and not left and not rule.always_served:
            response: Message | None = response_class(context.api_key)()
        else:
            response = await handle(request, context)
        if response is None:
            return None
        judge.hide(rule, response)
        judge.refuse_described_groups(response)
        for item in refused:
            getattr(response, item.items.response).append(_answer_to(item, response))
        judge.limit_operations(response)
        return response


_NOTHING: Final = Rule()


def _has_no_place_for(error: ApiError, context: RequestContext) -> bool:
    """Whether a refusal of all can only be told by each item."""
    try:
        error_response(context.api_key, context.version, error.code)
    except Unanswerable:
        return True
    return False


class _Judge:
    """One request under judgement."""

    def __init__(self, access: Access, request: Message, context: RequestContext) -> None:
        self._access = access
        self._request: Any = request
        self._context = context

    def _allows(self, operation: Operation, kind: ResourceType, name: str) -> bool:
        return self._access.allows(self._context.session, operation, kind, name)

    def _allows_on_cluster(self, operation: Operation) -> bool:
        return self._allows(operation, ResourceType.CLUSTER, CLUSTER_NAME)

    # ---- the whole request ----

    def refusal_of_all(self, rule: Rule) -> ApiError | None:
        """The first need of the whole request that is not met."""
        for need in rule.whole:
            name = CLUSTER_NAME if need.field is None else getattr(self._request, need.field)
            if name and not self._allows(need.operation, need.kind, name):
                return ApiError(_ERRORS[need.kind])
        kind = self._special_refusal()
        return None if kind is None else ApiError(_ERRORS[kind])

    def _special_refusal(self) -> ResourceType | None:
        key, version = self._context.api_key, self._context.version
        if key == _INIT_PRODUCER_ID:
            return self._refusal_of_producer()
        if key == _ADD_PARTITIONS_TO_TXN and version >= 4:
            allowed = self._allows_on_cluster(Operation.CLUSTER_ACTION)
            return None if allowed else ResourceType.CLUSTER
        if key == _FIND_COORDINATOR and version < 4:
            kind = self._kind_of_key()
            allowed = self._allows(self._operation_on(kind), kind, self._request.key)
            return None if allowed else kind
        if key in _SUBSCRIBE:
            names = self._request.subscribed_topic_names or ()
            return None if all(map(self._describes, names)) else ResourceType.TOPIC
        return None

    def _refusal_of_producer(self) -> ResourceType | None:
        """Who may write to some topic may do so idempotently (KIP-679)."""
        name = self._request.transactional_id
        if name is not None:
            kind = ResourceType.TRANSACTIONAL_ID
            return None if self._allows(Operation.WRITE, kind, name) else kind
        allowed = self._allows_on_cluster(Operation.IDEMPOTENT_WRITE) or self._access.allows_any(
            self._context.session, Operation.WRITE, ResourceType.TOPIC
        )
        return None if allowed else ResourceType.CLUSTER

    def _kind_of_key(self) -> ResourceType:
        kinds = {
            _GROUP_KEY: ResourceType.GROUP,
            _TRANSACTION_KEY: ResourceType.TRANSACTIONAL_ID,
        }
        return kinds.get(self._request.key_type, ResourceType.CLUSTER)

    def _operation_on(self, kind: ResourceType) -> Operation:
        return Operation.CLUSTER_ACTION if kind == ResourceType.CLUSTER else Operation.DESCRIBE

    # ---- items ----

    def take_out(self, lists: Sequence[Items], error: ApiError | None) -> Iterator[_Refused]:
        """Take what is refused out of the request; with an error, everything."""
        for items in lists:
            wanted = getattr(self._request, items.request)
            if not wanted:
                continue
            allowed = []
            for item in wanted:
                code = error.code if error is not None else self._judge(items, item)
                if code is ErrorCode.NONE:
                    allowed.append(item)
                else:
                    yield _Refused(items, item, code)
            setattr(self._request, items.request, allowed)

    def _judge(self, items: Items, item: Any) -> ErrorCode:
        if items.or_cluster and self._allows_on_cluster(items.operation):
            return ErrorCode.NONE
        if self._context.api_key == _CREATE_TOPICS_OF_METADATA:
            return self._judge_metadata(item)
        operation, kind, name = self._resource_of(items, item)
        if name is None or self._allows(operation, kind, name):
            return ErrorCode.NONE
        return _ERRORS[kind]

    def _resource_of(self, items: Items, item: Any) -> tuple[Operation, ResourceType, str | None]:
        if items.kind is not None:
            return items.operation, items.kind, self._name_of(items, item)
        if self._context.api_key == _FIND_COORDINATOR:
            kind = self._kind_of_key()
            name = CLUSTER_NAME if kind == ResourceType.CLUSTER else item
            return self._operation_on(kind), kind, name
        if item.resource_type == ConfigType.TOPIC:
            return items.operation, ResourceType.TOPIC, item.resource_name
        if item.resource_type == _GROUP_CONFIG:
            return items.operation, ResourceType.GROUP, item.resource_name
        return items.operation, ResourceType.CLUSTER, CLUSTER_NAME

    def _name_of(self, items: Items, item: Any) -> str | None:
        """None for an id that is nobody's: the handler says so, and gives nothing away."""
        if not items.key:
            return str(item)
        name = getattr(item, items.key, None)
        topic_id = getattr(item, "topic_id", ZERO_UUID)
        if not name and topic_id != ZERO_UUID:
            topic = self._context.broker.metadata.image.topic_by_id(topic_id)
            name = None if topic is None else topic.name
        return name

    def _judge_metadata(self, item: Any) -> ErrorCode:
        """A topic that would be made needs CREATE too; an id that may not be known is unknown."""
        image = self._context.broker.metadata.image
        if item.name is None:
            topic = image.topic_by_id(item.topic_id)
            hidden = topic is not None and not self._describes(topic.name)
            return ErrorCode.UNKNOWN_TOPIC_ID if hidden else ErrorCode.NONE
        may_create = item.name in image.topics or not self._request.allow_auto_topic_creation
        may_create = may_create or self._allows_on_cluster(Operation.CREATE)
        may_create = may_create or self._allows(Operation.CREATE, ResourceType.TOPIC, item.name)
        allowed = may_create and self._describes(item.name)
        return ErrorCode.NONE if allowed else ErrorCode.TOPIC_AUTHORIZATION_FAILED

    def _describes(self, topic: str) -> bool:
        return self._allows(Operation.DESCRIBE, ResourceType.TOPIC, topic)

    # ---- the response ----

    def hide(self, rule: Rule, response: Any) -> None:
        """Take out of a response what may not be described."""
        for shown in rule.shown:
            if shown.kind == ResourceType.GROUP and self._allows_on_cluster(Operation.DESCRIBE):
                continue
            first, _, second = shown.response.partition(".")
            parents = getattr(response, first) if second else [response]
            for parent in parents:
                items = getattr(parent, second or first)
                if self._context.api_key == _OFFSET_FETCH and self._names_topics(parent):
                    for item in items:
                        if not self._may_see(shown, item):
                            _refuse_offsets(item)
                else:
                    items[:] = [item for item in items if self._may_see(shown, item)]

    def _names_topics(self, answer: Any) -> bool:
        """Whether the topics of a group's offsets were asked for by name, not all there are."""
        if isinstance(answer, Message):  # up to version 7, of one group
            return self._request.topics is not None
        asked = {group.group_id: group.topics for group in self._request.groups}
        return asked.get(answer.group_id) is not None

    def _may_see(self, shown: Any, item: Any) -> bool:
        name = getattr(item, shown.key)
        return not name or self._allows(Operation.DESCRIBE, shown.kind, name)

    def refuse_described_groups(self, response: Any) -> None:
        """Of a group that has topics which may not be described, nothing is told."""
        if self._context.api_key not in _DESCRIBE_ASSIGNMENTS:
            return
        for group in response.groups:
            if not all(map(self._describes, _assigned_topics(group))):
                group.members = []
                group.error_code = ErrorCode.TOPIC_AUTHORIZATION_FAILED
                group.error_message = "The group has topics that the client may not describe."

    def limit_operations(self, response: Any) -> None:
        """Leave of authorized operations those that are (KIP-430)."""
        self._limit(response, "cluster_authorized_operations", ResourceType.CLUSTER, CLUSTER_NAME)
        for topic in getattr(response, "topics", ()):
            name = getattr(topic, "name", None) or ""
            self._limit(topic, "topic_authorized_operations", ResourceType.TOPIC, name)
        for group in getattr(response, "groups", ()):
            name = getattr(group, "group_id", "")
            self._limit(group, "authorized_operations", ResourceType.GROUP, name)

    def _limit(self, item: Any, field: str, kind: ResourceType, name: str) -> None:
        bits = getattr(item, field, _NOT_ASKED_FOR)
        if bits == _NOT_ASKED_FOR:
            return
        allowed = (
            operation
            for operation in Operation
            if bits >> operation & 1 and self._allows(operation, kind, name)
        )
        setattr(item, field, sum(1 << operation for operation in allowed))


def _assigned_topics(group: Any) -> set[str]:
    return {
        part.topic_name
        for member in group.members
        for field in ("assignment", "target_assignment")
        if (assignment := getattr(member, field, None)) is not None
        for part in assignment.topic_partitions
    }


def _refuse_offsets(topic: Any) -> None:
    for partition in topic.partitions:
        partition.committed_offset, partition.committed_leader_epoch = -1, -1
        partition.metadata = ""
        partition.error_code = ErrorCode.TOPIC_AUTHORIZATION_FAILED


_GROUP_CONFIG: Final = 32


# ---- answers to what is refused ----


def _class_of(owner: type[Struct], field: str) -> type[Struct]:
    found: type[Struct] = next(row[7] for row in owner.FIELDS if row[0] == field)
    return found


def _answer_to(refused: _Refused, response: Message) -> Struct:
    items, item, code = refused
    cls = _class_of(type(response), items.response)
    answer: Any = cls()
    fields = [row[0] for row in cls.FIELDS]
    if items.key:
        for field in fields:
            value = getattr(item, field, None)
            if value is not None and not isinstance(value, list):
                setattr(answer, field, value)
    else:
        setattr(answer, items.response_key, item)
    if items.inner is None:
        answer.error_code = code
        if "error_message" in fields:
            answer.error_message = None
        return answer  # type: ignore[no-any-return]
    inner = items.inner
    inner_class = _class_of(cls, inner.response)
    parts = [_part(inner_class, part, inner, code) for part in getattr(item, inner.request)]
    setattr(answer, inner.response, parts)
    return answer  # type: ignore[no-any-return]


def _part(cls: type[Struct], part: Any, inner: Any, code: ErrorCode) -> Struct:
    answer: Any = cls()
    setattr(answer, inner.number, part if isinstance(part, int) else getattr(part, inner.number))
    setattr(answer, inner.error, code)
    return answer  # type: ignore[no-any-return]
