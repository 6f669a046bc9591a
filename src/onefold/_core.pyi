"""The compiled extension: kernels, stores and executors (native/bindings.cpp)."""

from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]

PANEL: int
UPDATE_ROWS: int
MAX_THREADS: int

def levels() -> list[str]: ...
def level() -> str: ...
def kernel_names() -> list[str]: ...
def run_kernel(
    name: str,
    dtype: str,
    level: str,
    operands: Sequence[tuple[Array | None, int, int] | tuple[Array | None, int, int, int]],
    rows: int,
    first_row: int = 0,
    numbers: Sequence[float] = ...,
    seed: int = 0,
    update: int = 0,
    begin: int = 0,
    end: int = 0,
    panels: int = 1,
    resume: bool = False,
    streamed: bool = False,
    repeat: int = 1,
) -> None: ...

class Store:
    def __init__(self, shapes: Sequence[tuple[int, int]], is_double: bool) -> None: ...
    version: int
    nbytes: int
    def fill_zero(self) -> None: ...
    def copy_from(self, other: Store) -> None: ...
    def set(self, matrix: int, values: Array) -> None: ...
    def get(self, matrix: int, out: Array) -> None: ...

class Program:
    def __init__(
        self,
        *,
        is_double: bool,
        buffers: Sequence[tuple[bool, int, int, int, int, int]],
        stages: Sequence[
            tuple[int, Sequence[tuple[str, Sequence[tuple[int, int]], Sequence[float], float]]]
        ],
        transposed: Sequence[bool],
        loss_buffer: int,
        micro_batch: int,
        row_tile: int,
        threads: int,
        micro_batch_bytes: int,
        tile_bytes: int,
    ) -> None: ...

class Executor:
    def __init__(
        self, program: Program, parameters: Store, gradient: Store | None, seed: int
    ) -> None: ...
    nbytes: int
    threads: int
    window_rows: int
    mode: int | None
    inputs_finite: bool
    def set_host(
        self, function: Callable[[int, int, list[Any]], None], is_double: bool
    ) -> None: ...
    def set_update_rule(
        self,
        kernel: str,
        decayed: Sequence[bool],
        clip_value: float,
        clip_norm: float,
        states: Sequence[Store],
        scale: float = 1.0,
    ) -> None: ...
    def train(
        self,
        inputs: Array,
        targets: Array,
        weights: Array | None,
        order: Array | None,
        *,
        batch_size: int,
        first_batch: int,
        first_update: int,
        scalars: Array,
        seconds: float,
        loss: float,
        weight: float,
        record: Array | None = None,
    ) -> tuple[int, int, float, float, float, float]: ...
    def stop(self) -> None: ...
    def watch_inputs(self, on: bool) -> None: ...
    def set_profiling(self, on: bool) -> None: ...
    def profile(self) -> list[tuple[str, float]]: ...
    def begin(self, update: int) -> None: ...
    def add(self, inputs: Array, targets: Array, weights: Array | None) -> None: ...
    def accumulated(self) -> tuple[float, float]: ...
    def gradient_norm(self) -> float: ...
    def weight_squares(self) -> float: ...
    def finish(self, scalars: Array) -> bool: ...
    def forward(self, inputs: Array, out: Array, watched: bool) -> bool: ...
    def evaluate(
        self, inputs: Array, targets: Array, weights: Array | None
    ) -> tuple[float, float]: ...

def read_by_position(
    array: NDArray[Any], descriptor: int, offset: int, ours: bool = False
) -> None: ...
def forget(array: NDArray[Any]) -> None: ...
def row_file(array: NDArray[Any]) -> tuple[int, int] | None: ...
def window_bytes(
    window_rows: int, row_bytes: int, file_rows: int, ordered: bool, threads: int
) -> int: ...
def all_within(array: NDArray[Any], limit: float, threads: int = 1) -> bool: ...
def all_codes(array: NDArray[Any], limits: Sequence[float]) -> bool: ...
