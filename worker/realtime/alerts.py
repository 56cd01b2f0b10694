"""Service alerts as riders read them: texts, periods, and whom they concern."""

from dataclasses import dataclass

from google.transit.gtfs_realtime_pb2 import Alert as _Alert
from google.transit.gtfs_realtime_pb2 import FeedEntity, TranslatedString

_ENGLISH = ("en", "")


@dataclass(frozen=True, kw_only=True, slots=True)
class Informed:
    """Whom an alert concerns: all that is named at once; an empty part means any."""

    agency_id: str
    route_id: str
    stop_id: str
    trip_id: str
    route_type: int | None
    direction_id: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Alert:
    """One service alert.

    ``periods``: (start, end) in epoch seconds, None where it is open; none at all
    means as long as the alert is in the feed. Texts are by language, as the feed
    names them ("en", and "en/html" at Transport for NSW).
    """

    alert_id: str
    cause: str
    effect: str
    periods: tuple[tuple[int | None, int | None], ...]
    informed: tuple[Informed, ...]
    header: dict[str, str]
    description: dict[str, str]
    url: dict[str, str]

    @property
    def title(self) -> str:
        """The header in English, or in whatever language there is."""
        return _english(self.header)

    @property
    def text(self) -> str:
        """The description in English, or in whatever language there is."""
        return _english(self.description)

    def active(self, at_s: float) -> bool:
        """Whether the alert holds at ``at_s``, epoch seconds of the service clock."""
        return not self.periods or any(
            (start is None or start <= at_s) and (end is None or at_s < end)
            for start, end in self.periods
        )


def alert_of(entity: FeedEntity) -> Alert:
    """An entity of an alerts feed as our own value."""
    alert = entity.alert
    return Alert(
        alert_id=_text(entity.id),
        cause=_Alert.Cause.Name(alert.cause),
        effect=_Alert.Effect.Name(alert.effect),
        periods=tuple(
            (
                # Feeds write 0 where they mean none.
                period.start or None,
                period.end or None,
            )
            for period in alert.active_period
        ),
        informed=tuple(
            Informed(
                agency_id=_text(each.agency_id),
                route_id=_text(each.route_id or each.trip.route_id),
                stop_id=_text(each.stop_id),
                trip_id=_text(each.trip.trip_id),
                route_type=each.route_type if each.HasField("route_type") else None,
                direction_id=each.direction_id
                if each.HasField("direction_id")
                else None,
            )
            for each in alert.informed_entity
        ),
        header=_translations(alert.header_text),
        description=_translations(alert.description_text),
        url=_translations(alert.url),
    )


def _translations(text: TranslatedString) -> dict[str, str]:
    return {_text(each.language): _text(each.text) for each in text.translation}


def _text(text: str | bytes) -> str:
    """The bindings hand out bytes that are no UTF-8 as they are."""
    return text if isinstance(text, str) else text.decode(errors="replace")


def _english(texts: dict[str, str]) -> str:
    chosen = [texts[language] for language in _ENGLISH if language in texts]
    return (chosen or list(texts.values()) or [""])[0]
