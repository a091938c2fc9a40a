"""What rows of the tables are made with."""

from __future__ import annotations

from typing import Final

from pylog.config import Check, Dynamic, Kind, Option, Scope, Synonym

INT_MAX: Final = "2147483647"
LONG_MAX: Final = "9223372036854775807"
NO, ALL = Dynamic.NO, Dynamic.CLUSTER


def boolean(name: str, default: str, doc: str, dynamic: Dynamic = NO) -> Option:
    return Option(name, Kind.BOOLEAN, default, doc, None, Scope.BROKER, dynamic)


def integer(
    name: str, default: str, doc: str, check: Check | None = None, dynamic: Dynamic = NO
) -> Option:
    return Option(name, Kind.INT, default, doc, check, Scope.BROKER, dynamic)


def long(
    name: str, default: str | None, doc: str, check: Check | None = None, dynamic: Dynamic = NO
) -> Option:
    return Option(name, Kind.LONG, default, doc, check, Scope.BROKER, dynamic)


def double(
    name: str, default: str, doc: str, check: Check | None = None, dynamic: Dynamic = NO
) -> Option:
    return Option(name, Kind.DOUBLE, default, doc, check, Scope.BROKER, dynamic)


def text(
    name: str, default: str | None, doc: str, check: Check | None = None, dynamic: Dynamic = NO
) -> Option:
    return Option(name, Kind.STRING, default, doc, check, Scope.BROKER, dynamic)


def items(
    name: str, default: str | None, doc: str, check: Check | None = None, dynamic: Dynamic = NO
) -> Option:
    return Option(name, Kind.LIST, default, doc, check, Scope.BROKER, dynamic)


def without_effect(
    name: str,
    kind: Kind,
    default: str | None,
    why: str,
    check: Check | None = None,
    dynamic: Dynamic = NO,
    scope: Scope = Scope.BROKER,
    synonym: str = "",
    hidden: bool = False,
) -> Option:
    """A setting that only Kafka has a use for: it is checked and kept."""
    synonyms = (Synonym(synonym),) if synonym else ()
    doc = f"No effect here: {why}."
    return Option(name, kind, default, doc, check, scope, dynamic, synonyms, why, hidden)
