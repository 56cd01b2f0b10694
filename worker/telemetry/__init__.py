"""What is remembered of each attempt and each moment."""
