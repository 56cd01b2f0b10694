"""What a task means to the rest of the world; the plain case means nothing."""

from simulation.engine.message import Message
from simulation.tables import Demand


class Behaviours:
    """Told of every attempt. This one lets tasks come and go without consequence,
    as queueing theory does; ``Outside`` is the transit app's.
    """

    def begin(self, message: Message) -> None:
        """An attempt starts; ``message.units`` may be set here."""

    def hampered(self, message: Message, demand: Demand) -> Demand:
        """The demand as the state of the outside makes it."""
        return demand

    def complete(self, message: Message, started_at: float, finished_at: float) -> None:
        """An attempt has succeeded."""

    def sever(self, message: Message, finished_at: float) -> None:
        """An attempt did its work, but could not write to Redis in the end."""

    def retry(self, message: Message) -> None:
        """An attempt has failed, and Celery tries the message again."""

    def abandon(self, message: Message) -> None:
        """A message has ended without success, and Celery does not try it again."""
