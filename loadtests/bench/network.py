"""The network of the notifications bench: its lines, stops, trips and timetable."""

import zipfile
from pathlib import Path
from random import Random

ROUTES, STOPS_A_ROUTE, STOPS = 600, 40, 30_000
TRIPS, STOPS_A_TRIP = 20_000, 20
_ZIPF = 0.75
_STATION_EVERY = 10  # every so manieth stop is a platform of a station

_FIXED = {
    "agency.txt": "agency_id,agency_name,agency_url,agency_timezone\n"
    "A,Sydney,http://a.example,Australia/Sydney\n",
    "calendar.txt": "service_id,monday,tuesday,wednesday,thursday,friday,saturday,"
    "sunday,start_date,end_date\nDAILY,1,1,1,1,1,1,1,20260101,20281231\n",
}


def lines(random: Random, count: int) -> list[int]:
    """Lines as riders choose them: a few are used by most."""
    weights = [1 / (rank + 1) ** _ZIPF for rank in range(ROUTES)]
    return random.choices(range(ROUTES), weights, k=count)


def stops_of(line: int) -> list[str]:
    """The stops of a line, in the order in which its trips call."""
    return [f"s{n}" for n in Random(line).sample(range(STOPS), STOPS_A_ROUTE)]


def station_of(stop: str) -> str:
    """The station that a stop is a platform of; empty for a stop at the roadside."""
    return "" if int(stop[1:]) % _STATION_EVERY else f"station{stop[1:]}"


def trips() -> list[tuple[str, int, list[str]]]:
    """Id, line and stops of each trip of the day."""
    random = Random(3)
    calls = [stops_of(line) for line in range(ROUTES)]
    found = []
    for number, line in enumerate(lines(random, TRIPS)):
        first = random.randrange(0, STOPS_A_ROUTE, STOPS_A_TRIP)  # there, or back
        found.append((f"trip{number}", line, calls[line][first : first + STOPS_A_TRIP]))
    return found


def write_timetable(path: Path) -> None:
    """The network as a bundle."""
    random = Random(4)
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in _FIXED.items():
            archive.writestr(name, text)
        archive.writestr("stops.txt", "\n".join(_stops()))
        archive.writestr(
            "routes.txt",
            "route_id,agency_id,route_short_name,route_long_name,route_type\n"
            + "".join(f"r{n},A,{n},Line {n},3\n" for n in range(ROUTES)),
        )
        trip_rows = ["route_id,service_id,trip_id"]
        call_rows = ["trip_id,arrival_time,departure_time,stop_id,stop_sequence"]
        for trip_id, line, calls in trips():
            trip_rows.append(f"r{line},DAILY,{trip_id}")
            minute = random.randrange(5 * 60, 23 * 60)
            for place, stop in enumerate(calls):
                hours, minutes = divmod(minute + 2 * place, 60)
                at = f"{hours:02}:{minutes:02}:00"
                call_rows.append(f"{trip_id},{at},{at},{stop},{place + 1}")
        archive.writestr("trips.txt", "\n".join(trip_rows))
        archive.writestr("stop_times.txt", "\n".join(call_rows))


def _stops() -> list[str]:
    rows = ["stop_id,stop_name,stop_lat,stop_lon,location_type,parent_station"]
    for n in range(0, STOPS, _STATION_EVERY):
        rows.append(f"station{n},Station {n},-33.8,151.2,1,")
    for n in range(STOPS):
        rows.append(f"s{n},Stop {n},-33.8,151.2,0,{station_of(f's{n}')}")
    return rows
