"""pylog beside Apache Kafka: one machine, one run, the same load, alternating."""
