"""What ``pylog demo`` shows: two real streams through one broker, read by two consumer groups."""
