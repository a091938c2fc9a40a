"""Messages of the protocol: one generated module per API, imported when it is needed.

``messages/list_offsets.py`` holds ``ListOffsetsRequest``, ``ListOffsetsResponse`` and their
structs. A struct has the name that the spec gives it; only where request and response both have
one of that name, it is called ``RequestName`` and ``ResponseName``.
"""
