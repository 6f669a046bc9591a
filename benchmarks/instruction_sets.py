"""Variables with which the peers' instruction sets can be limited."""

from __future__ import annotations

import os

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


def release() -> None:
    """Unsets the variables, which may be in the user's environment: the peers choose for themselves."""
    for name in [*LIMITS, *DESCRIBING]:
        os.environ.pop(name, None)
