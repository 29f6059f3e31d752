"""Lines go to Kafka as they are."""
