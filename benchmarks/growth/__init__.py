"""How the cost of an operation grows with what the broker holds, and what disturbs a produce."""
