"""The REST API: parse, authorise, delegate, answer."""
