"""``python -m loadtests``: the door."""

from loadtests.cli import main
from worker.errors import answer_at_the_door

if __name__ == "__main__":
    answer_at_the_door(main)
