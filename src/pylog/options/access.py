"""Settings about who may connect, and do what."""

from __future__ import annotations

from typing import Final

from pylog.config import Kind, Option, at_least, one_of
from pylog.options.make import boolean, integer, items, long, text
from pylog.security.credentials import parse_passwords


def _passwords(text: str) -> str | None:
    try:
        parse_passwords(text)
    except ValueError as error:
        return str(error)
    return None


OPTIONS: Final = (
    # ---- authentication ----
    items(
        "sasl.enabled.mechanisms",
        "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
        "Mechanisms by which clients of SASL listeners may authenticate.",
        one_of("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"),
    ),
    Option(
        "sasl.plain.users",
        Kind.PASSWORD,
        None,
        "Users of the mechanism PLAIN, as USER:PASSWORD separated by commas.",
        _passwords,
    ),
    boolean(
        "sasl.oauthbearer.unsecured.enable",
        "false",
        "Tokens that nobody has signed are accepted: for tests only.",
    ),
    text(
        "sasl.oauthbearer.jwks.file",
        None,
        "File with the keys (a JSON Web Key Set) that tokens are signed with.",
    ),
    items(
        "sasl.oauthbearer.expected.audience",
        None,
        "A token must be for one of these; empty: for anybody.",
    ),
    text("sasl.oauthbearer.expected.issuer", None, "A token must come from this issuer."),
    long(
        "connections.max.reauth.ms",
        "0",
        "Time after which a connection has to authenticate again (KIP-368); 0: never.",
        at_least(0),
    ),
    integer(
        "connection.failed.authentication.delay.ms",
        "100",
        "How long a connection that failed to authenticate waits until it is closed.",
        at_least(0),
    ),
    # ---- access control ----
    text(
        "authorizer.class.name",
        None,
        "Set, access is controlled by rules (ACLs); not set, everybody may do everything.",
        one_of("org.apache.kafka.metadata.authorizer.StandardAuthorizer"),
    ),
    text(
        "super.users",
        "",
        "Principals that may do everything, as User:NAME separated by semicolons.",
    ),
    boolean(
        "allow.everyone.if.no.acl.found",
        "false",
        "Everybody may do everything to a resource that no rule matches.",
    ),
)
