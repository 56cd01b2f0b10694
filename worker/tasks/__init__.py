"""The tasks: thin shells that join the rooms. One module a row of the policy."""
