"""How a Kafka cluster is reached, asked and written to."""
