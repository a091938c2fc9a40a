"""Levels of this process's loggers, under Kafka's names, while it runs (KIP-412).

They are not kept: after a start every logger has the level that the command line says.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Final

from pylog.cluster.configs import ConfigChange, Operation
from pylog.protocol.errors import ApiError, ErrorCode

ROOT: Final = "root"
_LEAST: Final = 5
_LEVELS: Final = {
    "TRACE": _LEAST,
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARN": logging.WARNING,
    "ERROR": logging.ERROR,
    "FATAL": logging.CRITICAL,
}


def levels() -> dict[str, str]:
    """The level in force of every logger, by name; the root's is ``root``."""
    return {name: _name_of(logger.getEffectiveLevel()) for name, logger in _loggers().items()}


def alter_levels(changes: Sequence[ConfigChange], *, validate_only: bool = False) -> None:
    """Set levels, or delete them: then a logger has its parent's. ApiError, and nothing is done."""
    names = [change.name for change in changes]
    if len(set(names)) != len(names):
        raise ApiError(ErrorCode.INVALID_REQUEST, "A logger is named more than once.")
    loggers = _loggers()
    wanted = [(change.name, _level_of(change, loggers)) for change in changes]
    if not validate_only:
        for name, level in wanted:
            loggers[name].setLevel(level)


def _loggers() -> dict[str, logging.Logger]:
    known = logging.root.manager.loggerDict.items()
    named = {name: item for name, item in known if isinstance(item, logging.Logger)}
    return {ROOT: logging.root, **dict(sorted(named.items()))}


def _name_of(level: int) -> str:
    """The most severe of Kafka's levels that lets through what ``level`` does."""
    return max((number, name) for name, number in _LEVELS.items() if number <= max(level, _LEAST))[
        1
    ]


def _level_of(change: ConfigChange, known: Mapping[str, logging.Logger]) -> int:
    """What a change sets. ApiError when it is not in order."""
    if change.operation not in (Operation.SET, Operation.DELETE):
        raise ApiError(ErrorCode.INVALID_REQUEST, "A level can only be set or deleted.")
    if change.operation == Operation.SET and change.value is None:
        raise ApiError(ErrorCode.INVALID_REQUEST, f"Null value for the logger {change.name}.")
    if change.name not in known:
        raise ApiError(ErrorCode.INVALID_CONFIG, f"There is no logger {change.name}.")
    if change.operation == Operation.DELETE:
        if change.name == ROOT:
            raise ApiError(ErrorCode.INVALID_REQUEST, "The root logger keeps a level.")
        return logging.NOTSET
    level = _LEVELS.get(change.value or "")
    if level is None:
        allowed = ", ".join(_LEVELS)
        raise ApiError(ErrorCode.INVALID_CONFIG, f"{change.value} is no level: {allowed}.")
    return level
