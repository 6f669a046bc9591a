"""The documentation runs: every Python block, every docstring's example; every name is listed."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import onefold as of
from onefold.nn.activations import ACTIVATIONS
from onefold.nn.losses import LOSSES
from onefold.optim import OPTIMIZERS
from onefold.optim.schedules import SCHEDULES

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(of.__path__, "onefold.")
    if "._core" not in module.name
)


def python_blocks(page):
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_run_in_order(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in python_blocks(page):
        exec(compile(block, page.name, "exec"), names)


def test_there_are_blocks():
    assert sum(len(python_blocks(page)) for page in PAGES) >= 5


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name):
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_every_name_is_listed():
    text = (ROOT / "docs" / "network.md").read_text(encoding="utf-8")
    names = [*ACTIVATIONS, *LOSSES, *(OPTIMIZERS[n].__name__ for n in OPTIMIZERS)]
    names += [cls.__name__ for cls in SCHEDULES.values()]
    assert [name for name in names if f"`{name}" not in text] == []
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    counts = (
        f"{len(ACTIVATIONS)} activations",
        f"{len(LOSSES)} losses",
        f"{len(OPTIMIZERS)} optimizers",
    )
    assert [count for count in counts if count not in readme] == []


def test_the_page_of_the_command_shows_what_it_prints(tmp_path):
    page = (ROOT / "docs" / "command.md").read_text(encoding="utf-8")
    table, model = ROOT / "src" / "onefold" / "data" / "penguins.csv", tmp_path / "m.onefold"
    command = [sys.executable, "-m", "onefold"]
    shown = []
    for options in (
        ["train", table, "--target", "species", "--output", model, "--quiet"],
        ["evaluate", model, table],
        ["predict", model, table, "--probabilities", "--quiet"],
        ["verify", model, table, "--quiet"],
    ):
        run = subprocess.run(
            [*command, *map(str, options)], capture_output=True, text=True, check=True
        )
        shown += [line.rstrip() for line in run.stdout.splitlines()[:4]]
    times_and_paths = re.compile(r"^trained | s$|^model ")
    assert len(shown) > 8
    for line in shown:
        assert times_and_paths.search(line) or line in page, line
    (fingerprint,) = set(re.findall(r"(?:fingerprint|equal:) \w+ \((\w+)\)", page))
    assert any(fingerprint in line for line in shown)
