"""Clients of what is outside: files, Kafka, MySQL."""
