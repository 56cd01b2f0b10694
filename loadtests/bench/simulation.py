"""What the model costs: a day, a year, and customers a second beside its peers.

Compile time is a row of its own: it is paid once, and kept beside the source.
"""

import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from statistics import median
from time import perf_counter

import ciw
import simpy

from loadtests.bench.row import Row, medians
from simulation import kernel
from simulation.assumptions import believed
from simulation.calibration import calibrate
from simulation.days import YEAR, sydney_day
from simulation.engine import World, simulate
from simulation.engine.behaviours import Behaviours
from simulation.hour import deployed, platform
from simulation.kept import kept
from simulation.layout import Layout
from simulation.systems import SYSTEMS, draw
from simulation.tables import Tables
from simulation.workload import tables_of
from worker.policy import POLICY

USERS = 10_000
CUSTOMERS = 40_000
CHILDREN, PER_S = 4, 3.2
ROUNDS = 5


def rows(say: Callable[[str], None] = lambda _: None) -> Iterator[Row]:
    """The bench's lines on the model; one core, in this process."""
    say("simulation: compiles the kernel anew, half a minute")
    yield _compiled()
    day = _Days()
    tables = day.tables(0)
    engine_ms, kernel_ms = medians(
        (
            lambda: simulate(day.layout, tables),
            lambda: kernel.run(day.layout, tables),
        ),
        repeats=ROUNDS,
    )
    yield Row(
        name="simulated_day_engine", value=engine_ms / 1e3,
        unit="s", repeats=ROUNDS, target=0.6,
    )  # fmt: skip
    yield Row(
        name="simulated_day_kernel", value=kernel_ms, unit="ms", repeats=ROUNDS,
        target=5.0,
    )  # fmt: skip
    say("simulation: three years of days, drawn and run")
    years = [_seconds(day.year) for _ in range(3)]
    yield Row(
        name="simulated_year_kernel, drawing included", value=median(years), unit="s",
        repeats=len(years), target=4.0,
    )  # fmt: skip
    say("simulation: M/M/4 beside SimPy's textbook form and Ciw")
    yield from _customers()


class _Days:
    """Days of Sydney at ``USERS`` on the kept calibration and the deployed policy."""

    def __init__(self) -> None:
        self.calibration = deployed(calibrate(kept("calibration")[0], strict=False))
        self.layout = Layout.of(POLICY)
        self._machine = platform(self.calibration)
        self._beliefs = believed()

    def tables(self, number: int) -> Tables:
        """A day, drawn."""
        return tables_of(
            sydney_day(number, USERS, seed=1, beliefs=self._beliefs),
            self.calibration,
            self.layout,
            replication=number,
            machine=self._machine,
        )

    def year(self) -> None:
        """Every day of a year, drawn, run, and its pushes counted."""
        for number in range(YEAR):
            tables = self.tables(number)
            kernel.pushes(kernel.run(self.layout, tables), tables)


def _compiled() -> Row:
    """Seconds until a process without a cache of compiled code has run the kernel."""
    code = (
        "import time; from simulation.systems import SYSTEMS, draw;"
        "from simulation import kernel; one = draw(SYSTEMS[0], 100, 0);"
        "began = time.perf_counter(); kernel.run(*one);"
        "print(time.perf_counter() - began)"
    )
    with tempfile.TemporaryDirectory(prefix="transit-bench-") as empty:
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={"NUMBA_CACHE_DIR": empty},
            capture_output=True,
            text=True,
            check=True,
        )
    return Row(
        name="kernel_compile, once", value=float(done.stdout), unit="s", repeats=1,
        target=60.0,
    )  # fmt: skip


def _customers() -> Iterator[Row]:
    """Microseconds a customer of M/M/4 at rho 0.8, the four in turn."""
    system = replace(SYSTEMS[1], children=CHILDREN)
    layout, tables = draw(system, CUSTOMERS, 0)
    count = len(tables.tick_at)

    def engine() -> None:
        World(layout, tables, behaviours=lambda _: Behaviours()).run()

    times = medians(
        (engine, lambda: kernel.run(layout, tables), _textbook, _ciw), repeats=ROUNDS
    )
    ours, fast, textbook, peer = (ms * 1e3 / count for ms in times)
    baseline = "SimPy, a process a customer and a Resource"
    for name, value, target in (
        ("customer_engine", ours, 1.0),
        ("customer_kernel", fast, 0.01),
    ):
        yield Row(
            name=name, value=value, unit="us", repeats=ROUNDS, target=target,
            baseline=baseline, baseline_value=textbook,
        )  # fmt: skip
    yield Row(
        name="customer_engine beside Ciw", value=ours, unit="us", repeats=ROUNDS,
        target=1.0, baseline="Ciw", baseline_value=peer,
    )  # fmt: skip


def _textbook() -> list[float]:
    """M/M/c as SimPy's documentation writes a queue: a process for each customer, and
    its wait, which is what anybody would want to know.
    https://simpy.readthedocs.io/en/latest/examples/bank_renege.html
    """
    rng = random.Random(1)
    waits: list[float] = []

    def customer(env: simpy.Environment, servers: simpy.Resource):  # type: ignore[no-untyped-def]
        came_at = env.now
        with servers.request() as turn:
            yield turn
            waits.append(env.now - came_at)
            yield env.timeout(rng.expovariate(1.0))

    def source(env: simpy.Environment, servers: simpy.Resource):  # type: ignore[no-untyped-def]
        for _ in range(CUSTOMERS):
            yield env.timeout(rng.expovariate(PER_S))
            env.process(customer(env, servers))

    env = simpy.Environment()
    env.process(source(env, simpy.Resource(env, CHILDREN)))
    env.run()
    return waits


def _ciw() -> None:
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(PER_S)],
        service_distributions=[ciw.dists.Exponential(1.0)],
        number_of_servers=[CHILDREN],
    )
    ciw.seed(1)
    ciw.Simulation(network).simulate_until_max_time(CUSTOMERS / PER_S)


def _seconds(work: Callable[[], object]) -> float:
    began = perf_counter()
    work()
    return perf_counter() - began
