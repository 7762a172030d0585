"""Exactly-once counters of the platform's events, with pluggable sinks."""
