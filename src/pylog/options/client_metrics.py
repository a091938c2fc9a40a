"""Settings of subscriptions to the metrics of clients (KIP-714)."""

from __future__ import annotations

from typing import Final

from pylog.config import Dynamic, Kind, Option, Scope, Table

CLIENT_METRICS: Final = Table(
    Option(name, kind, default, doc, None, Scope.CLIENT_METRICS, Dynamic.CLUSTER)
    for name, kind, default, doc in (
        ("metrics", Kind.LIST, "", "Prefixes of the metrics that clients push; `*`: all."),
        ("interval.ms", Kind.INT, "300000", "Time between two pushes, from 100 to 3600000."),
        (
            "match",
            Kind.LIST,
            "",
            "Whom it is asked of: client_id, client_instance_id, client_software_name, "
            "client_software_version, client_source_address or client_source_port, each as "
            "NAME=REGEX; all of them have to match.",
        ),
    )
)
