"""Appointments: CQRS with a read model of patients fed by Kafka."""
