"""Patients: registration, search, events and account provisioning."""
