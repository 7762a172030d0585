"""The operator: observes a HealthcarePlatform and its objects, plans, and applies."""
