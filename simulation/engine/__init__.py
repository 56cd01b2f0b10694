"""The reference model in SimPy: one entity a file, right by definition."""

from simulation.engine.world import Growth, Result, World, simulate

__all__ = ["Growth", "Result", "World", "simulate"]
