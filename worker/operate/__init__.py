"""What the operator asks: status, health, checks, tables."""
