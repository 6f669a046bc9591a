"""What the benchmarks share: turns, medians, the machine, the peak, results on disk."""

from __future__ import annotations

import argparse
import ctypes
import functools
import json
import os
import platform
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import instruction_sets

RESULTS = Path(__file__).parent / "results"
Given = TypeVar("Given")
PAGE = {"suffix": ""}  # of the names of the pages: a second machine's stand beside the first's


def parse_arguments(description: str, training: bool = False) -> argparse.Namespace:
    """Options that every benchmark has; training also has `--peers` and `--passes`.

    Sets the threads of the peers before they are imported, and removes limits of their instruction sets.
    """
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer cases and rounds")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument(
        "--machine",
        default="",
        help="a name for this machine, added to the names of the pages written",
    )
    if training:
        parser.add_argument(
            "--peers",
            choices=["free", "avx2"],
            default="free",
            help="free: every peer chooses its instruction set by itself (default); avx2: all of them are held "
            "to AVX2 like onefold, which needs ONEFOLD_ISA=avx2, and the results get a page of their own",
        )
        parser.add_argument(
            "--passes",
            type=int,
            choices=[1, 2],
            default=2,
            help="2: everything is measured once more in the end, and the page says whether that agrees (default); "
            "with --quick always 1",
        )
    given = parser.parse_args()
    PAGE["suffix"] = "-" + given.machine if given.machine else ""
    instruction_sets.release()
    many = str(given.threads > 1).lower()
    os.environ["XLA_FLAGS"] = (
        f"--xla_cpu_multi_thread_eigen={many} intra_op_parallelism_threads={given.threads}"
    )
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = str(given.threads)
    os.environ["KERAS_BACKEND"] = "jax"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    if training and given.peers == "avx2":
        instruction_sets.hold()
    return given


class Turns(dict[str, list[float]]):
    """Seconds of each side in each round, and how far the cores were from each other meanwhile.

    That is what a line takes to the other core and back, in nanoseconds.
    """

    def __init__(self, rounds: Sequence[tuple[dict[str, float], list[float]]]) -> None:
        super().__init__({side: [times[side] for times, _ in rounds] for side in rounds[0][0]})
        self.round_trip = statistics.median(trip for _, trips in rounds for trip in trips)


def take_turns(sides: Mapping[str, Callable[[], Any]], rounds: int, pause: float = 0.1) -> Turns:
    """Seconds of each side, A B C A B C, with pauses in which the threads of the last one fall asleep.

    All rounds that count have the cores equally far from each other: systems move the cores of a virtual machine.
    When that happens there are more rounds, up to three times as many.
    """
    found: list[tuple[dict[str, float], list[float]]] = []
    trips = [round_trip()]
    for _ in range(3 * rounds):
        times = {}
        for name, run in sides.items():
            time.sleep(pause)
            start = time.perf_counter()
            run()
            times[name] = time.perf_counter() - start
            trips.append(round_trip())
        found.append((times, trips))
        trips = trips[-1:]
        limit = 2 * min(min(each) for _, each in found)
        near = [each for each in found if max(each[1]) < limit]
        far = [each for each in found if min(each[1]) >= limit]
        if enough := [group for group in (near, far) if len(group) >= rounds]:
            return Turns(enough[0])
    return Turns(max(near, far, key=len) or found)


def summary(values: Sequence[float]) -> dict[str, float]:
    """Median and spread."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def machine(threads: int, modules: Sequence[str]) -> dict[str, Any]:
    """Processor, instruction set, threads and versions."""
    from importlib.metadata import version

    from onefold import _native

    found = dict(
        [part.strip() for part in line.split(":", 1)]
        for line in Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    )
    name = found.get("model name", platform.processor())
    if "model" in found:  # virtual machines often hide the name
        name += f" (family {found['cpu family']}, model {found['model']})"
    return {
        "processor": name,
        "cores": os.cpu_count(),
        "threads": threads,
        "instruction_set": _native.level(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("onefold", "numpy", *modules)},
    }


@functools.cache
def compiled(name: str) -> ctypes.CDLL:
    """A library of functions in C++."""
    source = Path(__file__).parent / f"{name}.cpp"
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / f"{name}.so"
        compiler = [os.environ.get("CXX", "g++"), "-O3", "-pthread", "-shared", "-fPIC"]
        subprocess.run([*compiler, "-o", library, source], check=True)
        return ctypes.CDLL(str(library))


@functools.cache
def compiled_peak() -> Callable[[int], float]:
    """`peak.cpp` in the instruction set that onefold uses."""
    from onefold import _native

    if _native.level() not in ("avx512", "avx2"):
        raise SystemExit("the peak is measured with AVX2 or AVX-512")
    function = getattr(compiled("peak"), f"peak_{_native.level()}")
    function.restype, function.argtypes = ctypes.c_double, [ctypes.c_long]
    return function


def round_trip() -> float:
    """Nanoseconds of a line of the caches to another core and back; 1 where there is no other core."""
    if os.cpu_count() == 1:
        return 1.0
    function = compiled("round_trip").round_trip
    function.restype = ctypes.c_double
    return function()


def fma_peak(threads: int) -> list[float]:
    """GFLOP/s of each core, `threads` of them busy at once, in the instruction set that onefold uses."""
    return with_peak_after(lambda: None, threads, steps=4_000_000)[1]


def with_peak_after(
    work: Callable[[], Given], threads: int, steps: int = 50_000
) -> tuple[Given, list[float]]:
    """What `work` gives, and GFLOP/s of each core, `threads` of them busy at once, right after it.

    That is the median of five times `steps`: half a millisecond, for about which a core whose clock is set by
    power keeps that of its work.
    """
    function = compiled_peak()
    found: list[float] = []
    done = threading.Event()

    def measure() -> None:
        done.wait()
        found.append(statistics.median(function(steps) for _ in range(5)))

    others = [threading.Thread(target=measure, daemon=True) for _ in range(threads - 1)]
    for other in others:
        other.start()
    given = work()
    done.set()
    measure()
    for other in others:
        other.join()
    return given, found


def write(name: str, results: Mapping[str, Any], lines: Sequence[str]) -> None:
    """Results as JSON and as a Markdown page; the page is printed too."""
    name += PAGE["suffix"]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(results, indent=1) + "\n")
    (RESULTS / f"{name}.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines), flush=True)


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """Lines of a Markdown table."""
    lines = ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    return lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows]


def where(about: Mapping[str, Any]) -> str:
    """The machine in a sentence."""
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    return (
        f"{about['processor']}, {about['cores']} cores, {about['threads']} thread{'' if about['threads'] == 1 else 's'}, "
        f"{about['instruction_set']}; Python {about['python']}, {versions}."
    )
