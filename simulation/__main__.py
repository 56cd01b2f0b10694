"""``python -m simulation``: the door."""

from simulation.cli import main
from worker.errors import answer_at_the_door

if __name__ == "__main__":
    answer_at_the_door(main)
