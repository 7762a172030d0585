"""Every contract between services: gRPC, event schemas, topic names and permissions."""
