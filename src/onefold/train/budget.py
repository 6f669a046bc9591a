"""How many rows run at a time: the memory plan, and the micro-batch that fits a budget.

The micro-batch cannot change a result, so within the budget it is chosen for speed alone.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from onefold import _native
from onefold._errors import BudgetError, OptionError
from onefold.program import Layout, Program, fused, lay_out, micro_batch_bytes

#: Rows of a tile that is carried depth first through a row stage while it stays in cache.
ROW_TILE = 72
#: Values of a micro-batch beyond this no longer stay in the second-level caches until the column
#: stage reads them. Time of a batch of 8,192 or more rows by rows of a micro-batch, best = 1:
#: 20-64-64-2 (1.2 kB a row): 512 1.02, 2,048 1.00, 8,192 1.06, 16,384 1.15; 64-256-256-10 (4 kB):
#: 256 1.02, 512 1.00, 2,048 1.04, 4,096 1.13; 784-512-512-10 (11 kB): 256 1.00, 1,024 1.06, 4,096 1.21.
_CACHE_BYTES = 2 << 20
#: Bytes of a file that are read at a time where its rows come as they stand.
_STREAM_BYTES = 4 << 20
#: Fewer rows than this and loading and storing the gradient's chains begins to show.
_LEAST_ROWS = 256

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_UNITS |= {
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
    "k": 2**10,
    "m": 2**20,
    "g": 2**30,
}


def parse_size(size: int | float | str) -> int:
    """Bytes of a size such as `200_000_000`, "200MB" or "1.5 GiB".

    Raises
    ------
    OptionError
        Not a positive size.
    """
    if isinstance(size, str):
        match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*([a-zA-Z]*)\s*", size)
        if match and match[2].lower() in _UNITS:
            size = float(match[1]) * _UNITS[match[2].lower()]
    if isinstance(size, bool) or not isinstance(size, int | float) or not 0 < size < 2**63:
        raise OptionError(
            f"memory is a size such as '200MB', '1.5GiB' or a number of bytes, not {size!r}"
        )
    return int(size)


def format_size(size: int) -> str:
    """Bytes as people read them: "3.4 MB"."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def thread_count(threads: int | None) -> int:
    """Threads to use: all the processors that the process may run on, or what the user says."""
    if threads is None:
        available = (
            len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        )
        return min(available or 1, _native.MAX_THREADS)
    if (
        isinstance(threads, bool)
        or not hasattr(threads, "__index__")
        or not (1 <= int(threads) <= _native.MAX_THREADS)
    ):
        raise OptionError(f"threads is a number from 1 to {_native.MAX_THREADS}, not {threads!r}")
    return int(threads)


@dataclass(frozen=True)
class Plan:
    """Exact bytes of a training run, part by part, for a micro-batch.

    Attributes
    ----------
    batch_size, micro_batch, row_tile, threads : int
        Rows of an update, rows that run at a time, rows of a tile, threads.
    parameters, gradient, optimizer, transposed : int
        Bytes of the weights and biases, of their gradient, of the optimizer's states, and of the
        transposed weights that the backward pass reads.
    kept : int
        Bytes of the parameters that a run may go back to: the epoch's start, the best epoch.
    norm : int
        Bytes of the parts of the gradient's norm, where it is clipped, or of the weights'.
    values : int
        Bytes of the values of one micro-batch.
    tiles : int
        Bytes of the values of one tile in every thread.
    order : int
        Bytes of the epoch's order of rows.
    window : int
        Bytes of the window through which rows in a file are read.
    window_rows : int
        Rows of that window.
    """

    batch_size: int
    micro_batch: int
    row_tile: int
    threads: int
    parameters: int
    gradient: int
    optimizer: int
    transposed: int
    kept: int
    norm: int
    values: int
    tiles: int
    order: int
    window: int = 0
    window_rows: int = 0

    @property
    def parts(self) -> dict[str, int]:
        """Bytes of every part by name."""
        names = (
            "parameters", "gradient", "optimizer", "transposed", "kept", "norm", "values", "tiles", "order",
            "window",
        )  # fmt: skip
        return {name: getattr(self, name) for name in names}

    @property
    def total(self) -> int:
        """Bytes of all parts together."""
        return sum(self.parts.values())

    @property
    def pieces(self) -> int:
        """Micro-batches of a full batch."""
        return -(-self.batch_size // self.micro_batch)

    def __str__(self) -> str:
        lines = [
            f"batch of {self.batch_size:,} rows in {self.pieces:,} micro-batch"
            f"{'' if self.pieces == 1 else 'es'} of up to {self.micro_batch:,}, {self.threads} "
            f"thread{'' if self.threads == 1 else 's'}"
        ]
        parts = {k: v for k, v in self.parts.items() if v or k != "window"}
        lines += [f"  {name:<11}{format_size(size):>10}" for name, size in parts.items()]
        return "\n".join([*lines, f"  {'total':<11}{format_size(self.total):>10}"])


@dataclass(frozen=True)
class Budget:
    """Makes plans for one training program.

    Attributes
    ----------
    program : Program
        Its products are fused with the relu that follows them.
    states : int
        States that the optimizer keeps for each parameter.
    rows : int
        Rows whose order is kept (0: they run as they stand).
    threads : int
    copies : int
        Copies of the parameters that are kept to go back to.
    clipped : bool
        Whether the norm of the whole gradient or of the weights is needed.
    file_rows, row_bytes : int
        Rows of inputs that are read from a file within the budget, and bytes of each; 0: in memory.
    """

    program: Program
    states: int
    rows: int
    threads: int
    copies: int = 0
    clipped: bool = False
    file_rows: int = 0
    row_bytes: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "program", fused(self.program))

    def plan(self, batch_size: int, micro_batch: int, window_rows: int = 0) -> Plan:
        """The exact bytes for a micro-batch; a window of rows in a file holds one at least."""
        layout = self.layout(micro_batch)
        panel, item = _native.PANEL, self.program.item_bytes
        sizes = [
            rows * -(-columns // panel) * panel * item for rows, columns in self.program.shapes
        ]
        turned = [
            columns * -(-rows // panel) * panel * item
            for (rows, columns), kept in zip(
                self.program.shapes, self.program.transposed(), strict=True
            )
            if kept
        ]
        window_rows = min(self.file_rows, max(window_rows, micro_batch))
        return Plan(
            batch_size=batch_size,
            micro_batch=micro_batch,
            row_tile=layout.row_tile,
            threads=self.threads,
            parameters=sum(sizes),
            gradient=sum(sizes),
            optimizer=sum(sizes) * self.states,
            transposed=sum(turned),
            kept=sum(sizes) * self.copies,
            norm=8 * self._norm_blocks() if self.clipped else 0,
            values=layout.micro_batch_bytes,
            tiles=layout.tile_bytes * self.threads,
            order=4 * self.rows,
            window=self._window_bytes(window_rows),
            window_rows=window_rows,
        )

    def _window_bytes(self, rows: int) -> int:
        if not self.file_rows:
            return 0
        return _native.window_bytes(
            rows, self.row_bytes, self.file_rows, self.rows > 0, self.threads
        )

    def _with_window(self, plan: Plan, budget: int) -> Plan:
        """The plan with a window for rows in a file, in what a budget leaves.

        The larger it is, the fewer times a file in another order is gone through; it is no larger than
        that takes. Rows that come as they stand need no more than a few megabytes.
        """
        if not self.file_rows:
            return plan
        left = budget - plan.total + plan.window
        if not self.rows:
            left = min(left, max(plan.window, _STREAM_BYTES))
        fits, more = plan.window_rows, self.file_rows + 1
        while more - fits > 1:
            rows = (fits + more) // 2
            fits, more = (rows, more) if self._window_bytes(rows) <= left else (fits, rows)
        if fits < self.file_rows:
            # A window begins with the first micro-batch that the one before does not hold whole.
            times = -(-self.file_rows // max(1, fits - plan.micro_batch))
            fits = min(fits, -(-self.file_rows // times) + plan.micro_batch)
        return self.plan(plan.batch_size, plan.micro_batch, fits)

    def _norm_blocks(self) -> int:
        """Parts of the gradient whose squares are summed one by one."""
        panel, rows = _native.PANEL, _native.UPDATE_ROWS
        return sum(-(-(-(-c // panel) * r) // rows) for r, c in self.program.shapes)

    def layout(self, micro_batch: int) -> Layout:
        """The program's buffers for a micro-batch."""
        return lay_out(self.program, micro_batch, ROW_TILE, self.threads)

    def choose(
        self, batch_size: int, micro_batch: int | str, memory: int | float | str | None
    ) -> Plan:
        """The plan for what the user asked: a micro-batch, a budget, or neither.

        Raises
        ------
        BudgetError
            Not even a micro-batch of one row fits; says the least that would do.
        """
        if micro_batch != "auto":
            if (
                isinstance(micro_batch, bool | str)
                or int(micro_batch) != micro_batch
                or micro_batch < 1
            ):
                raise OptionError(
                    f"micro_batch is 'auto' or a number of rows from 1 up, not {micro_batch!r}"
                )
            wanted = min(int(micro_batch), batch_size)
        else:
            wanted = self._fastest(batch_size)
        plan = self.plan(batch_size, wanted)
        if memory is None:
            return plan
        budget = parse_size(memory)
        if plan.total <= budget:
            return self._with_window(plan, budget)
        least = self.plan(batch_size, 1)
        if micro_batch != "auto" or least.total > budget:
            needed = plan if micro_batch != "auto" else least
            raise BudgetError(
                f"memory={memory!r} is too small: micro-batches of {needed.micro_batch} rows take "
                f"{format_size(needed.total)} ({needed.total:,} bytes); "
                + ("leave micro_batch at 'auto' or " if least.total <= budget else "")
                + f"give at least {needed.total:,} bytes",
                needed.total,
            )
        low, high = 1, wanted  # low fits, high does not
        while high - low > 1:
            middle = (low + high) // 2
            if self.plan(batch_size, middle).total <= budget:
                low = middle
            else:
                high = middle
        return self._with_window(self.plan(batch_size, low), budget)

    def _fastest(self, batch_size: int) -> int:
        """As many rows as stay in cache between the stages, in pieces as even as they can be.

        Every piece loads and stores the gradient once, so a large one is worth larger pieces.
        """
        row = max(1, micro_batch_bytes(self.program, 1024) // 1024)
        gradient = sum(rows * columns for rows, columns in self.program.shapes)
        values = _CACHE_BYTES + gradient * self.program.item_bytes * 5 // 4
        most = max(_LEAST_ROWS, values // row)
        pieces = -(-batch_size // most)
        return -(-batch_size // pieces)
