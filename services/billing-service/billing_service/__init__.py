"""Billing accounts over gRPC, events and a small HTTP read."""
