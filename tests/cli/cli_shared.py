"""What the tests of the command share."""

from __future__ import annotations

import subprocess
import sys

from onefold import data

PENGUINS = str(data.PENGUINS)
FAST = ["--epochs", "3", "--quiet"]


def write(path, text):
    path.write_text(text)
    return path


def table(
    path, rows=60, header="a,b,kind,y", line=lambda i: f"{i},{i % 7},{'uvw'[i % 3]},{i * 2.5}"
):
    return write(path, "\n".join([header, *(line(i) for i in range(rows))]) + "\n")


def process(*arguments, **options):
    code = "import sys; from onefold.cli import main; sys.exit(main())"
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip
