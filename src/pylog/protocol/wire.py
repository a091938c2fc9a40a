"""Messages as bytes: :func:`encode`, :func:`decode` and :class:`WireError`.

``encode(message, version)`` raises WireError when a field that the version does not have, and
that is not ignorable, holds something else than its default; when a value does not fit its type;
and for a null where none is allowed. ``decode(cls, data, version)`` raises it for bytes that are
truncated or malformed; unknown tagged fields and bytes behind the message are skipped, as Kafka
does (librdkafka 2.x sends three too many with Metadata v13). Nothing is allocated by a size in
the data before that size has been checked. ``encode_parts`` gives the bytes cut where a field of
records holds something else than bytes, with that between the pieces in place of length and bytes.
The native part is ``bind/wire.pyx``.
"""

from __future__ import annotations

from pylog._wire import WireError, decode, encode, encode_parts

__all__ = ["WireError", "decode", "encode", "encode_parts"]
