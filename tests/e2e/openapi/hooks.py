"""What schemathesis does not know by itself: text of events, one a line, is sent as it is, and anything else as one line of JSON."""

import json

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def ndjson(_context, value):
    return (value if isinstance(value, str) else json.dumps(value)).encode("utf-8", "replace")
