"""What each part costs, as ratios to what it can cost at best on this machine."""
