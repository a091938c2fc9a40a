"""Measuring brokers of the Kafka protocol side by side, with a native load generator."""
