"""The shape of the project: import rules, one registry of operations, nothing leaking from a level."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from onefold import _core, _native
from onefold.nn import losses
from onefold.nn.activations import ACTIVATIONS
from onefold.nn.losses import LOSSES
from onefold.optim import OPTIMIZERS, optimizers
from onefold.program import OPERATIONS
from onefold.program.fusion import FUSED
from onefold.reference.activations import BACKWARD, FORWARD
from onefold.reference.executor import STEPS
from onefold.reference.losses import LOSSES as REFERENCE_LOSSES

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "onefold"

#: A package imports only what stands above it; those on one line are siblings.
LAYERS = [
    {"_errors"},
    {"_native", "_files"},
    {"program"},
    {"nn", "optim", "data"},
    {"reference"},
    {"train"},
    {"network"},
    {"model_file"},
    {"estimators"},
    {"cli"},
    {"__main__"},
]
LEVEL = {name: place for place, names in enumerate(LAYERS) for name in names}


def imports(path):
    """Parts of onefold that a file imports, and whether at its head."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.ImportFrom)
            and node.module
            and node.module.split(".")[0] == "onefold"
        ):
            parts = node.module.split(".")
            for name in [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]:
                yield name, node


def test_imports_go_upwards():
    wrong = []
    for path in PACKAGE.rglob("*.py"):
        part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if part == "__init__":
            continue
        for name, node in imports(path):
            if name == part or name not in LEVEL or name == "_core":
                continue
            typing_only = any(
                isinstance(parent, ast.If) and "TYPE_CHECKING" in ast.dump(parent.test)
                and node in ast.walk(parent)
                for parent in ast.walk(ast.parse(path.read_text()))
            )  # fmt: skip
            source = path.read_text()
            lazy = (
                f"    from onefold import {name}" in source or f"    from onefold.{name}" in source
            )
            if LEVEL[name] >= LEVEL[part] and not typing_only and not lazy:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong


def test_only_native_imports_the_extension():
    users = [
        p.name
        for p in PACKAGE.rglob("*.py")
        if re.search(r"import _core|onefold\._core", p.read_text())
    ]
    assert users == ["_native.py"]


def test_importing_is_light():
    heavy = [
        "sklearn",
        "scipy",
        "pandas",
        "matplotlib",
        "duckdb",
        "typer",
        "rich",
        "safetensors",
        "torch",
    ]
    code = f"import sys, onefold; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_every_kernel_has_a_user_and_a_reference():
    kernels = set(_core.kernel_names())
    assert len(kernels) == len(_core.kernel_names())
    activations = {name for name in ACTIVATIONS if name != "linear"}
    known = {f"{name}_{way}" for name in activations for way in ("forward", "backward")}
    assert activations - {"prelu"} == set(FORWARD) == set(BACKWARD)
    known |= set(REFERENCE_LOSSES)
    direct = {
        name
        for name, kind in OPERATIONS.items()
        if not name.startswith(("activation", "loss", "host"))
    }
    known |= direct - {"gather"}
    known |= set(FUSED.values())
    known |= {
        "gather_float32",
        "gather_float64",
        "gather_uint8",
        "transpose",
        "squared_norm",
        "stream_weights",
        "within",
        "are_codes",
    }
    known |= {"random_words", "permutation"}
    known |= {name for name in kernels if name.endswith(("_update", "_array"))}
    assert kernels == known


def test_the_reference_runs_every_operation():
    assert set(STEPS) == set(OPERATIONS) - {"host_loss"}


def test_every_loss_and_optimizer_has_its_kernel():
    kernels = set(_core.kernel_names())
    used = set()
    for cls in LOSSES.values():
        for outputs, labels in ((1, False), (3, False), (3, True)):
            for ending in ("linear", "softplus"):
                try:
                    used.add(cls().plan(outputs, labels, ending).kernel)
                except ValueError:
                    continue
    assert used == set(REFERENCE_LOSSES)
    assert used <= kernels
    assert {cls().kernel for cls in OPTIMIZERS.values()} <= kernels


def test_losses_and_optimizers_are_found_where_they_are_listed():
    """A pickle names a class by its module; one may name the module that lists them all."""
    for module, classes in ((losses, LOSSES), (optimizers, OPTIMIZERS)):
        for cls in classes.values():
            assert getattr(module, cls.__name__) is cls
    for name in losses.__all__:
        assert hasattr(losses, name)


def test_the_stub_is_the_extension():
    stub = ast.parse((PACKAGE / "_core.pyi").read_text())
    names = {n.name for n in stub.body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    names |= {n.target.id for n in stub.body if isinstance(n, ast.AnnAssign)}
    assert names == {name for name in dir(_core) if not name.startswith("_")}
    for node in stub.body:
        if isinstance(node, ast.ClassDef):
            methods = {
                m.name if isinstance(m, ast.FunctionDef) else m.target.id
                for m in node.body
                if not (isinstance(m, ast.FunctionDef) and m.name == "__init__")
            }
            real = {m for m in vars(getattr(_core, node.name)) if not m.startswith("_")}
            assert methods == real


def test_nothing_leaks_from_a_level(tmp_path):
    """A weak symbol outside a level's namespace could be linked on a processor without the level."""
    compiler, nm = shutil.which(os.environ.get("CXX", "c++")), shutil.which("nm")
    if compiler is None or nm is None:
        pytest.skip("no compiler or nm here")
    flags = {
        "avx512": ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mfma"],
        "avx2": ["-mavx2", "-mfma"],
    }
    for level in _native.levels():
        out = tmp_path / f"{level}.o"
        subprocess.run(
            [compiler, "-std=gnu++20", "-O1", "-ffp-contract=off", "-fPIC", "-w", *flags.get(level, []),
             "-I", str(ROOT / "native"), "-c", str(ROOT / "native" / "isa" / f"{level}.cpp"), "-o", str(out)],
            check=True,
        )  # fmt: skip
        symbols = subprocess.run(
            [nm, "-C", str(out)], capture_output=True, text=True, check=True
        ).stdout
        for line in symbols.splitlines():
            kind, name = line[17:18], line[19:]
            if kind in "VWu":
                assert name.startswith(f"onefold::{level}::"), line
            if kind == "T":
                assert name == f"onefold::kernels_{level}()", line
            if kind == "U":
                allowed = ("fma", "fmaf", "memcpy", "memset", "sqrt", "sqrtf", "__stack_chk_fail",
                           "_GLOBAL_OFFSET_TABLE_", "__cpu_model", "memmove")  # fmt: skip
                assert name in allowed, line


def test_instruction_sets_show_only_in_simd():
    marks = re.compile(r"_mm\d*_|__AVX|__ARM|vfmaq|immintrin|arm_neon")
    files = [p for p in (ROOT / "native" / "kernels").glob("*.hpp") if marks.search(p.read_text())]
    assert files == []


def test_documents_name_no_machine():
    wrong = []
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        if re.search(r"/(work|root|home)/|https?://\S*pypi", path.read_text()):
            wrong.append(path.name)
    assert wrong == []
