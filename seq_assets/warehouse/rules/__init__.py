"""What the SQL of both engines says alike: contracts, metrics, and the blocking conditions of the audit."""
