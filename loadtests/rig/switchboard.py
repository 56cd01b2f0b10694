"""What the load tests, the chaos and the tests say to the stand-in world, over HTTP.

GET /state, /events, /arrivals?after=N&wait_s=S, /faults, /counters;
POST /bundles, /events, /faults, /reset; DELETE /events, /faults.
"""

import asyncio
import time
from collections.abc import Callable, Mapping

from loadtests.rig.apns import Apns
from loadtests.rig.faults import Fault, Faults
from loadtests.rig.http import Request, Response
from loadtests.rig.nsw import Nsw
from loadtests.rig.world import Outside

LONGEST_WAIT_S = 60.0
MOST_ARRIVALS = 5_000
"""In one answer; the next one begins where it ended."""


class Switchboard:
    """One handler for each method and path."""

    def __init__(
        self,
        outside: Outside,
        nsw: Nsw,
        apns: Apns,
        faults: Faults,
        strike: Callable[[Fault], None],
    ) -> None:
        self.outside = outside
        self.nsw = nsw
        self.apns = apns
        self.faults = faults
        self.strike = strike
        self._handlers: Mapping[tuple[str, str], Callable[[Request], object]] = {
            ("GET", "/state"): self._state,
            ("GET", "/events"): self._events,
            ("POST", "/events"): self._disturb,
            ("DELETE", "/events"): self._settle,
            ("GET", "/faults"): self._faults,
            ("POST", "/bundles"): self._reissue,
            ("POST", "/faults"): self._break,
            ("DELETE", "/faults"): self._mend,
            ("GET", "/counters"): self._counters,
            ("POST", "/reset"): self._reset,
        }

    async def __call__(self, request: Request) -> Response:
        try:
            if (request.method, request.path) == ("GET", "/arrivals"):
                return Response.of_json(await self._arrivals(request))
            handler = self._handlers.get((request.method, request.path))
            if handler is None:
                known = ", ".join(f"{m} {p}" for m, p in self._handlers)
                return _refused(404, f"no {request.method} {request.path}: {known}")
            return Response.of_json(handler(request))
        except (ValueError, KeyError, TypeError) as error:
            return _refused(400, str(error))

    def _state(self, _: Request) -> object:
        return {
            "now": self.outside.clock.now(),
            "clock_offset_s": self.outside.clock.offset_s,
            "replays": self.outside.source.replays,
            "lines": self.outside.lines(),
            "feeds": {
                name: {
                    "timestamp": each.timestamp,
                    "bytes": len(each.body),
                    "lines": sorted(each.trips()),
                }
                for name, each in self.outside.publications.items()
            },
            "pushes": len(self.apns.arrivals),
        }

    def _events(self, _: Request) -> object:
        return {"events": [event.as_json() for event in self.outside.events]}

    def _disturb(self, request: Request) -> object:
        asked = request.json()
        lines = asked.get("lines", [asked.get("line")])
        delay_s, duration_s = asked.get("delay_s"), asked.get("duration_s", 600)
        if not isinstance(lines, list) or not isinstance(delay_s, int):
            raise ValueError("an event has line (or lines), delay_s and duration_s")
        if not isinstance(duration_s, int | float):
            raise ValueError("duration_s is a number of seconds")
        event = self.outside.disturb([str(line) for line in lines], delay_s, duration_s)
        return event.as_json()

    def _settle(self, _: Request) -> object:
        for event in self.outside.events:
            event.ends_at = min(event.ends_at, time.time())
        self.outside.settle()
        return {"running": 0}

    def _reissue(self, _: Request) -> object:
        return {"reissued": self.nsw.reissue()}

    def _faults(self, _: Request) -> object:
        return {"faults": [fault.as_json() for fault in self.faults.all]}

    def _break(self, request: Request) -> object:
        fault = self.faults.read(request.json())
        self.strike(fault)
        self.faults.all.append(fault)
        return fault.as_json()

    def _mend(self, _: Request) -> object:
        self.faults.clear()
        return {"faults": 0}

    def _counters(self, _: Request) -> object:
        return {"nsw": dict(self.nsw.counters), "apns": dict(self.apns.counters)}

    def _reset(self, _: Request) -> object:
        """Forget arrivals, counters, quota, faults, events and provider tokens."""
        self.faults.clear()
        self._settle(_)
        self.outside.events.clear()
        self.nsw.forget()
        self.apns.counters.clear()
        self.apns.arrivals.clear()
        self.apns.team.forget()
        return {"reset": True}

    async def _arrivals(self, request: Request) -> object:
        """Those after the Nth; waits until there is one, at most ``wait_s``."""
        after = int(request.query.get("after", "0"))
        wait_s = min(float(request.query.get("wait_s", "0")), LONGEST_WAIT_S)
        deadline = time.monotonic() + wait_s
        while len(self.apns.arrivals) <= after:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            self.apns.arrived.clear()
            try:
                await asyncio.wait_for(self.apns.arrived.wait(), left)
            except TimeoutError:
                break
        found = self.apns.arrivals[after : after + MOST_ARRIVALS]
        return {
            "next": after + len(found),
            "arrivals": [arrival.as_json() for arrival in found],
        }


def _refused(status: int, why: str) -> Response:
    return Response.of_json({"error": why}, status)
