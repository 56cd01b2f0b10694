"""The rig's switchboard, as those who drive a run see it.

Standard library only: locust's gevent makes these calls cooperative.
"""

import http.client
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from loadtests.targets import refuse_foreign
from worker.errors import UsageError

ANSWER_S = 10.0
"""Beyond what a call itself may wait, the switchboard answers within this."""


class SwitchboardError(UsageError):
    """The switchboard does not answer."""


class Control:
    """One connection to the switchboard; not to be shared between threads.

    Every call raises UsageError when the switchboard refuses, and of that kind
    SwitchboardError when it cannot be reached.
    """

    def __init__(self, url: str, *, i_own_this_host: bool = False) -> None:
        self._host, self._port = _host_and_port(url)
        refuse_foreign("RIG_CONTROL_URL", url, i_own_this_host=i_own_this_host)
        self.url = url
        self._connection: http.client.HTTPConnection | None = None

    def state(self) -> dict[str, Any]:
        """Service time, the lines with trips now, the clock's offset."""
        return dict(self._call("GET", "/state"))

    def delay(self, routes: list[str], delay_s: float, duration_s: float) -> None:
        """Delay the routes from this instant on."""
        self._call(
            "POST",
            "/events",
            {"lines": routes, "delay_s": int(delay_s), "duration_s": duration_s},
        )

    def events(self) -> list[dict[str, Any]]:
        """Every delay so far, with the instant at which it was published."""
        return list(self._call("GET", "/events")["events"])

    def arrivals(self, after: int, wait_s: float) -> tuple[int, list[dict[str, Any]]]:
        """Pushes that reached the device after number ``after``, and the next number.

        Waits up to ``wait_s`` for the first one.
        """
        answer = self._call(
            "GET", f"/arrivals?after={after}&wait_s={wait_s:g}", patience_s=wait_s
        )
        return int(answer["next"]), list(answer["arrivals"])

    def fault(self, fault: Mapping[str, Any]) -> None:
        """Hamper a stand-in or a link."""
        self._call("POST", "/faults", dict(fault))

    def mend(self) -> None:
        """Take every fault away."""
        self._call("DELETE", "/faults")

    def reset(self) -> None:
        """Forget delays, arrivals, faults, quota and counters, as in a new world."""
        self._call("POST", "/reset", {})

    def reissue(self) -> None:
        """Have NSW publish its timetables anew, so that a sync has something to do."""
        self._call("POST", "/bundles", {})

    def counters(self) -> dict[str, Any]:
        """Requests by path and status, pushes by status."""
        return dict(self._call("GET", "/counters"))

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _call(
        self,
        method: str,
        path: str,
        body: object | None = None,
        *,
        patience_s: float = 0.0,
    ) -> Any:
        text = None if body is None else json.dumps(body)
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection(
                    self._host, self._port, timeout=ANSWER_S + patience_s
                )
            self._connection.request(method, path, text)
            response = self._connection.getresponse()
            answer = response.read()
        except (OSError, UnicodeError, http.client.HTTPException) as error:
            self.close()  # UnicodeError: a name that no host can have
            raise SwitchboardError(
                f"the switchboard at {self.url} does not answer "
                f"({type(error).__name__}); start it: python -m loadtests rig"
            ) from None
        if response.status >= 400:
            said = answer.decode(errors="replace").strip()[:300]
            raise UsageError(f"the switchboard refused {method} {path}: {said}")
        try:
            return json.loads(answer or b"null")
        except ValueError:
            raise UsageError(
                f"what answers {method} {path} at {self.url} is no switchboard: it "
                "says no JSON; start one: python -m loadtests rig"
            ) from None


def _host_and_port(url: str) -> tuple[str, int]:
    try:
        address = urlsplit(url)
        host, port = address.hostname, address.port or 80
    except ValueError:  # a port beyond 65535 or of letters, a bracket left open
        host = None
    if not host or address.scheme != "http":
        raise UsageError(
            f"RIG_CONTROL_URL '{url}' is not the address of a switchboard; run "
            "inside the stand-in world: python -m loadtests rig -- COMMAND"
        )
    return host, port
