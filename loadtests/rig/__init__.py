"""The stand-in world: real servers, a doubled outside, nothing of ours faked."""
