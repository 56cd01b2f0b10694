"""What keeps work done once and never forgotten: slots, leases, dead letters."""
