"""What durability costs, and what recovery and compaction do, beside Apache Kafka."""
