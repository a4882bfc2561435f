"""The suites that run.py knows by name; each module has one `suite`."""
