"""The same expressions on every engine."""
