"""What the process takes, seen from outside, when the data are larger than the budget."""

import re
import subprocess
import sys

import duckdb
import numpy as np
import pytest

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

GRADIENT = """
import numpy as np, onefold as of, sys
x = np.memmap(sys.argv[1], np.float32, "r").reshape(-1, 20)
y = np.zeros(len(x), np.float32)
net = of.Network([of.Dense(32, "relu"), of.Dense(1)], inputs=20)
peak = lambda: int(next(l for l in open("/proc/self/status") if l.startswith("VmHWM")).split()[1]) * 1024
before = peak()
loss, gradient = net.loss_and_gradient(x, y, memory=None if sys.argv[2] == "all" else sys.argv[2])
print(peak() - before, loss.hex(), gradient["dense_0.weight"].sum(dtype=float).hex())
"""


@linux
def test_a_gradient_over_ten_million_rows_in_200_megabytes(tmp_path):
    path, rows = tmp_path / "rows.f32", 10_000_000
    rng = np.random.default_rng(0)
    with path.open("wb") as file:
        piece = rng.standard_normal((100_000, 20), dtype=np.float32)
        for i in range(rows // len(piece)):
            file.write((piece + np.float32(i / 100)).tobytes())

    def run(memory):
        command = [sys.executable, "-c", GRADIENT, str(path), memory]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        return int(out[0]), out[1:]

    (within, result), (beyond, same) = run("200MB"), run("all")
    path.unlink()
    assert result == same
    assert within <= 200e6
    assert beyond > 700e6  # the rows do not fit by themselves


def peak(*arguments):
    """What the command takes at most, in bytes, and what it prints."""
    code = (
        "import sys, onefold.cli as c; s = c.main(sys.argv[1:]); "
        "print(next(l for l in open('/proc/self/status') if l.startswith('VmHWM'))); sys.exit(s)"
    )
    command = [sys.executable, "-c", code, *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    found = re.search(r"VmHWM:\s+(\d+) kB", run.stdout)
    return int(found[1]) * 1024, run.stdout[: found.start()]


@linux
def test_a_table_three_times_the_budget(tmp_path):
    path, rows, width, budget = tmp_path / "t.parquet", 1_400_000, 150, 275e6
    columns = ", ".join(f"(hash(range * 200 + {i}) / 1e19)::float as x{i}" for i in range(width))
    with duckdb.connect() as database:
        database.execute("set threads = 1")
        database.execute(
            f"copy (select {columns}, range % 3 as y from range({rows})) to '{path}' (format parquet)"
        )
    assert rows * width * 4 > 3 * budget
    model, found = tmp_path / "m.onefold", {}
    for memory in ("275MB", "4GB"):
        size, printed = peak(
            "train", path, "--target", "y", "--epochs", 1, "--batch-size", 1024,
            "--memory", memory, "-q", "-o", model,
        )  # fmt: skip
        found[memory] = size, re.search(r"fingerprint \w+ \((\w+)\)", printed)[1]
    assert found["275MB"][1] == found["4GB"][1]
    assert found["275MB"][0] <= budget
    assert found["4GB"][0] > rows * width * 4

    within, figures = peak("evaluate", model, path, "--json", "-q", "--memory", "275MB")
    beyond, same = peak("evaluate", model, path, "--json", "-q")
    assert figures == same[same.index("{") :]  # DuckDB's own progress may stand before it
    assert within <= budget
    assert beyond > 2 * budget


@linux
def test_figures_that_need_every_row_within_a_budget(tmp_path):
    """Two classes are ordered by their outputs."""
    path, rows = tmp_path / "t.parquet", 2_000_000
    with duckdb.connect() as database:
        database.execute(
            "copy (select (hash(range) / 1e19)::float as x, (hash(range + 9) % 100 < 50)::int as y "
            f"from range({rows})) to '{path}' (format parquet)"
        )
    model = tmp_path / "m.onefold"
    peak("train", path, "--target", "y", "--epochs", 1, "--batch-size", 8192, "-q", "-o", model)
    within, figures = peak("evaluate", model, path, "--json", "-q", "--memory", "400MB")
    assert "roc_auc" in figures
    assert within <= 400e6


@linux
def test_a_csv_within_a_budget(tmp_path):
    path = tmp_path / "t.csv"
    columns = ", ".join(f"(hash(range * 200 + {i}) / 1e19)::float as x{i}" for i in range(40))
    with duckdb.connect() as database:
        database.execute(f"copy (select {columns}, range % 2 as y from range(200000)) to '{path}'")
    size, _ = peak(
        "train", path, "--target", "y", "--epochs", 1, "--batch-size", 1024,
        "--memory", "260MB", "-q", "-o", tmp_path / "m.onefold",
    )  # fmt: skip
    assert size <= 260e6
