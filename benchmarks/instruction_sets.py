"""Peers held to AVX2, and their matrix product with and without the limit.

    python benchmarks/instruction_sets.py "JAX, Keras 3" [--held]    one product, in a process of its own

Environment variables do it, set before a library is imported, but for YNNPACK, in which jaxlib multiplies
matrices: it asks the processor and reads no variable. Without it XLA takes oneDNN, which is slower on AVX2,
and no user of an AVX2 processor would see that. So YNNPACK's note of what the processor has is overwritten,
and it takes the kernels that it takes on such a processor.
"""

from __future__ import annotations

import argparse
import ctypes
import getpass
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

#: variable: value, and what it limits
LIMITS = {
    "ATEN_CPU_CAPABILITY": ("avx2", "PyTorch's own kernels, and the vectors of torch.compile"),
    "TORCHINDUCTOR_CPP_MARCH": ("x86-64-v3", "the compiler that torch.compile calls"),
    "ONEDNN_MAX_CPU_ISA": ("AVX2", "oneDNN in PyTorch and in XLA"),
    "MKL_ENABLE_INSTRUCTIONS": ("AVX2", "PyTorch's products, on Intel's processors"),
    "OPENBLAS_CORETYPE": ("Haswell", "the products of NumPy and SciPy, and so of scikit-learn"),
    "NPY_DISABLE_CPU_FEATURES": ("X86_V4,AVX512_ICL,AVX512_SPR", "NumPy's own kernels"),
    "XLA_FLAGS": ("--xla_cpu_max_isa=AVX2", "what XLA compiles"),
}
#: What describes the processor to a peer that can find out by itself.
DESCRIBING = ["OPENBLAS_L2_SIZE"]

#: In `ynn::get_supported_arch_flags` of this version of jaxlib bit 7 is AVX-512 F, and its other parts follow.
YNNPACK_AVX2, YNNPACK_OF = 0x7F, "0.10.2"

SIDE = 1024
SAMPLES = 40


def release() -> None:
    """Unsets the variables, which may be in the user's environment: the peers choose for themselves."""
    for name in [*LIMITS, *DESCRIBING]:
        os.environ.pop(name, None)


def hold() -> None:
    """Sets the variables; before the peers are imported. Other flags of XLA stay."""
    flags = os.environ.get("XLA_FLAGS", "")
    os.environ |= {name: value for name, (value, _) in LIMITS.items()}
    os.environ["XLA_FLAGS"] = f"{flags} {LIMITS['XLA_FLAGS'][0]}".strip()
    # Compiled for other processors, torch.compile's code would be found again.
    cache = f"torchinductor_avx2_{getpass.getuser()}"
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(Path(tempfile.gettempdir()) / cache)


class Ynnpack:
    """YNNPACK's note of what the processor has, inside jaxlib."""

    def __init__(self):
        import jaxlib.xla_client

        if version("jaxlib") != YNNPACK_OF:
            raise SystemExit(f"YNNPACK's flags are known for jaxlib {YNNPACK_OF} only")
        library = Path(jaxlib.__file__).parent / "libjax_common.so"
        listed = subprocess.run(["nm", library], check=True, capture_output=True, text=True).stdout
        places = {name: int(at, 16) for at, _, name in map(str.split, defined(listed))}
        base = next(
            int(line.split("-")[0], 16)
            for line in Path("/proc/self/maps").read_text().splitlines()
            if line.endswith(str(library))
        )
        function = "_ZN3ynn24get_supported_arch_flagsEv"
        self._find = ctypes.CFUNCTYPE(ctypes.c_uint64)(base + places[function])
        self._note = ctypes.c_uint64.from_address(
            base + places["_ZZN3ynn24get_supported_arch_flagsEvE5flags"]
        )

    def flags(self) -> int:
        return self._find()

    def hold(self) -> None:
        self._note.value = self._find() & YNNPACK_AVX2
        if self.flags() & ~YNNPACK_AVX2:
            raise SystemExit("YNNPACK could not be held to AVX2")


def defined(listed: str) -> list[str]:
    """Lines of `nm` about YNNPACK's flags."""
    return [line for line in listed.splitlines() if "get_supported_arch_flags" in line]


def torch_product(a, b, compiled=False):
    import torch

    torch.set_num_threads(1)
    a, b = torch.from_numpy(a), torch.from_numpy(b)
    run = torch.compile(torch.mm) if compiled else torch.mm
    run(a, b)
    says = torch.backends.cpu.get_cpu_capability()
    if compiled:
        says = str(torch._inductor.cpu_vec_isa.pick_vec_isa())
    return lambda: run(a, b), says


def compiled_product(a, b):
    return torch_product(a, b, compiled=True)


def jax_product(a, b):
    import jax

    ynnpack = Ynnpack()
    if "max_isa" in os.environ.get("XLA_FLAGS", ""):
        ynnpack.hold()
    a, b = jax.numpy.array(a), jax.numpy.array(b)
    run = jax.jit(jax.numpy.matmul)
    says = "AVX-512" if ynnpack.flags() & ~YNNPACK_AVX2 else "AVX2"
    return lambda: run(a, b).block_until_ready(), f"YNNPACK {says}"


def numpy_product(a, b):
    import numpy as np
    from threadpoolctl import threadpool_info

    cores = {part["architecture"] for part in threadpool_info() if part["user_api"] == "blas"}
    found = np.show_config("dicts")["SIMD Extensions"]["found"]
    return lambda: a @ b, f"OpenBLAS {'/'.join(cores)}, NumPy {found[-1]}"


PRODUCTS = {
    "PyTorch eager": (torch_product, "AVX2"),
    "torch.compile": (compiled_product, "avx2"),
    "JAX, Keras 3": (jax_product, "YNNPACK AVX2"),
    "scikit-learn": (numpy_product, "OpenBLAS Haswell, NumPy X86_V3"),
}


def one_product(name: str) -> dict[str, float | str]:
    """GFLOP/s of one core by processor time, which does not count what other programs took."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    import numpy as np

    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(SIDE, SIDE)).astype(np.float32) for _ in range(2))
    run, says = PRODUCTS[name][0](a, b)
    run()
    seconds = []
    for _ in range(SAMPLES):
        start = time.process_time()
        run()
        seconds.append(time.process_time() - start)
    return {"gflops": 2 * SIDE**3 / statistics.median(seconds) / 1e9, "says": says}


def both_products(rounds: int) -> dict[str, dict[str, dict[str, float | str]]]:
    """Every peer's product as it comes and held, in turns, medians; ends where a limit is not obeyed."""
    one = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    one.pop("TORCHINDUCTOR_CACHE_DIR", None)
    found: dict = {}
    for name, (_, expected) in PRODUCTS.items():
        sides: dict[str, list] = {"as it comes": [], "held": []}
        for _ in range(rounds):
            for side, results in sides.items():
                command = [sys.executable, __file__, name, *(["--held"] if side == "held" else [])]
                out = subprocess.run(command, env=one, check=True, stdout=subprocess.PIPE)
                results.append(json.loads(out.stdout.splitlines()[-1]))
        found[name] = {
            side: {
                "gflops": statistics.median(result["gflops"] for result in results),
                "says": results[0]["says"],
            }
            for side, results in sides.items()
        }
        if found[name]["held"]["says"] != expected:
            raise SystemExit(f"{name} is not held to AVX2: {found[name]['held']['says']}")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("peer", choices=PRODUCTS)
    parser.add_argument("--held", action="store_true", help="held to AVX2")
    given = parser.parse_args()
    release()
    if given.held:
        hold()
    print(json.dumps(one_product(given.peer)))
