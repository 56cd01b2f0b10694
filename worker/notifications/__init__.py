"""The right rider, once, in seconds: matching, the outbox, texts, Apple's answers."""
