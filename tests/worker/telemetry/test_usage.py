"""What a process used, read from /proc."""

import os
import subprocess
import sys

import pytest

from worker.telemetry import usage

needs_proc = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="no /proc here")


@needs_proc
def test_the_peak_is_the_attempts_own():
    """In a process of its own: here the peak may be anybody's."""
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            "from worker.telemetry import usage\n"
            "b = bytearray(300 << 20); b[::4096] = b'1' * len(b[::4096])\n"
            "print(usage.peak_rss_mib())\n"
            "del b; usage.reset_peak()\n"
            "print(usage.peak_rss_mib())",
        ],
        capture_output=True,
        text=True,
        check=True,
    )

    spike, after = map(float, said.stdout.split())
    assert spike > 300
    assert after < 100


def test_the_time_of_ended_children_counts():
    before = usage.cpu_s()

    subprocess.run([sys.executable, "-c", "sum(range(3_000_000))"], check=True)

    assert usage.cpu_s() - before > 0.01


def test_less_than_a_hundredth_of_a_second_is_seen():
    began_s = before = usage.cpu_s()

    steps = set()
    while len(steps) < 3 and usage.cpu_s() - began_s < 0.009:
        now = usage.cpu_s()
        steps |= {now} - {before}

    assert len(steps) == 3, "the processor's clock moved in steps of a hundredth"


def test_without_proc_there_is_still_a_peak(monkeypatch, tmp_path):
    monkeypatch.setattr(usage, "_PROC", tmp_path / "absent")

    usage.reset_peak()

    assert usage.peak_rss_mib() > 1
    assert usage.memory_mib(os.getpid()) is None
    assert usage.cpu_of_s(os.getpid()) is None


@needs_proc
def test_another_process_can_be_read_until_it_is_gone():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1) as child:
        assert usage.memory_mib(child.pid) > 0
        assert usage.cpu_of_s(child.pid) >= 0
        child.communicate(b"\n")

    assert usage.memory_mib(child.pid) is None


@needs_proc
def test_resident_memory_stands_in_where_the_share_is_withheld(monkeypatch, tmp_path):
    mine = tmp_path / "7"
    mine.mkdir()
    (mine / "status").write_text("Name:\tx\nVmRSS:\t    2048 kB\n")
    monkeypatch.setattr(usage, "_PROC", tmp_path)

    assert usage.memory_mib(7) == 2.0
