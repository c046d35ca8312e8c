"""The any-to-any generator: network, streams, and what it need not learn."""
