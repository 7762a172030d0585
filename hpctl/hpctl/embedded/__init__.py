"""Real PostgreSQL, Valkey and Apache Kafka as child processes: no Docker, no root, no installed Java."""
