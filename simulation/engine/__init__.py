"""The reference model in SimPy: one entity a file, right by definition."""

from simulation.engine.world import Result, World, simulate

__all__ = ["Result", "World", "simulate"]
