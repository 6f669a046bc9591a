"""Starting: the wheel's size, `import onefold`, and a whole `onefold train` on the penguins.

python benchmarks/starting.py [--quick]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import machine, parse_arguments, summary, table, where, write

ROOT = Path(__file__).parent.parent


def whole_process(arguments, rounds):
    """Seconds of a process from start to end."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return times


def imported(module, rounds):
    """Seconds of an import inside a fresh interpreter."""
    code = f"import time; start = time.perf_counter(); import {module}; print(time.perf_counter() - start)"
    return [
        float(
            subprocess.run(
                [sys.executable, "-c", code], check=True, capture_output=True, text=True
            ).stdout
        )
        for _ in range(rounds)
    ]


def main(given):
    rounds = 5 if given.quick else 21
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [
                sys.executable,
                "-m",
                "pip",
                "wheel",
                "--quiet",
                "--no-deps",
                "--wheel-dir",
                folder,
                str(ROOT),
            ],
            check=True,
        )
        (wheel,) = Path(folder).glob("*.whl")
        size = wheel.stat().st_size
        train = [
            "-c",
            "from onefold.cli import main; main()",
            "train",
            str(ROOT / "src/onefold/data/penguins.csv"),
            "--target",
            "species",
            "--quiet",
            "--output",
            f"{folder}/m.onefold",
        ]
        found = {
            "import onefold": imported("onefold", rounds),
            "import numpy, for comparison": imported("numpy", rounds),
            "onefold train on the penguins, whole process": whole_process(train, rounds),
        }
    about = machine(given.threads, [])
    rows = [
        [name, f"{s['median']:.3f} s ({s['low']:.3f}–{s['high']:.3f})"]
        for name, s in ((n, summary(t)) for n, t in found.items())
    ]
    rows.append(["the wheel", f"{size / 1e6:.2f} MB"])
    lines = [
        f"# Starting, median of {rounds} (low–high)",
        "",
        where(about),
        "",
        *table(["", ""], rows),
    ]
    write(
        "starting-quick" if given.quick else "starting",
        {"machine": about, "seconds": found, "wheel_bytes": size},
        lines,
    )


if __name__ == "__main__":
    main(parse_arguments(__doc__))
