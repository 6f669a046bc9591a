"""The report: it says what is true, opens without a network, and fits a phone."""

import re
import shutil
import subprocess

import numpy as np
import pytest

from onefold import data
from onefold.cli import main
from onefold.cli import model as models
from onefold.cli.report import findings

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """A report of classes and one of a regression, with their models."""
    folder = tmp_path_factory.mktemp("reports")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2))
    table = folder / "numbers.csv"
    rows = [f"{a},{b},{3 * a}" for a, b in x.tolist()]
    table.write_text("\n".join(["signal,noise,y", *rows]))
    for name, source, target in (("classes", data.PENGUINS, "species"), ("numbers", table, "y")):
        model, page = folder / f"{name}.onefold", folder / f"{name}.html"
        assert main(["train", str(source), "--target", target, "-o", str(model), "-q"]) == 0
        assert main(["report", str(model), str(source), "-o", str(page), "-q"]) == 0
    return folder


@pytest.mark.parametrize("name", ["classes", "numbers"])
def test_pages_need_nothing_from_elsewhere(reports, name):
    page = (reports / f"{name}.html").read_text()
    links = re.findall(r"""(?:src|href)=["']([^"'#][^"']*)|url\((?!#)([^)]*)\)|@import""", page)
    assert [link for link in links if not link[0].startswith("data:")] == []
    assert "<script" not in page
    loaded = models.load(reports / f"{name}.onefold")
    assert loaded.network.fingerprint() in page
    for column in loaded.encoder.columns:
        assert column.name in page


def test_the_same_report_again_is_the_same_file(reports):
    model, page = reports / "classes.onefold", reports / "classes.html"
    again = reports / "again.html"
    assert main(["report", str(model), str(data.PENGUINS), "-o", str(again), "-q"]) == 0
    assert again.read_bytes() == page.read_bytes()


def test_words_of_a_table_are_not_markup(tmp_path):
    table = tmp_path / "t.csv"
    rows = [f"{i},{i % 2},{'<b>bold</b>' if i % 2 else 'plain'}" for i in range(60)]
    table.write_text("\n".join(["<i>x</i>,z,kind", *rows]))
    model, page = tmp_path / "m.onefold", tmp_path / "r.html"
    assert main(["train", str(table), "--target", "kind", "-o", str(model), "-q"]) == 0
    assert main(["report", str(model), str(table), "-o", str(page), "-q"]) == 0
    text = page.read_text()
    assert "<b>bold</b>" not in text
    assert "<i>x</i>" not in text
    assert "&lt;b&gt;bold&lt;/b&gt;" in text


def test_importance_finds_the_column_that_matters(reports):
    loaded = models.load(reports / "numbers.onefold")
    before = loaded.network.fingerprint()
    prepared = models.prepared(loaded, data.Table(reports / "numbers.csv"), lambda *_: None)
    found = findings.find(loaded, prepared, lambda *_: None)
    first, second = found.importance
    assert first.column == "signal"
    assert first.mean > 50 * abs(second.mean)
    assert found.part == "test"
    # Scores are those of the training record: the same rows, encoded in the same way.
    for name, value in loaded.network.extra["record"]["test"].items():
        assert found.scores[name] == value
    # The middle of the line is the network itself, which is as it was.
    step, loss = found.line[len(found.line) // 2]
    assert step == 0
    assert loss < 1.05 * min(value for _, value in found.line)
    assert max(found.line[0][1], found.line[-1][1]) > 2 * loss
    assert loaded.network.fingerprint() == before


def test_calibration_is_the_share_of_hits():
    p = np.array([[0.95, 0.05], [0.92, 0.08], [0.3, 0.7], [0.28, 0.72]])
    bins = findings.calibration(np.array([0, 1, 1, 1]), p)
    assert [(round(sure, 3), hits, rows) for sure, hits, rows in bins] == [
        (0.71, 1, 2),
        (0.935, 0.5, 2),
    ]


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("name", ["classes", "numbers"])
@pytest.mark.parametrize("width", [390, 1200])
def test_in_a_browser(reports, name, width, tmp_path):
    probe = (
        "<script>addEventListener('load', () => document.title = JSON.stringify({"
        "scroll: document.documentElement.scrollWidth - document.documentElement.clientWidth, "
        "empty: [...document.querySelectorAll('svg')].filter(s => s.getBoundingClientRect().height < 50).length, "
        "figures: document.querySelectorAll('svg').length}))</script>"
    )
    page = tmp_path / "probed.html"
    page.write_text((reports / f"{name}.html").read_text().replace("</body>", probe + "</body>"))
    options = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --dump-dom "
        "--disable-background-networking --disable-component-update --disable-sync"
    )
    dom = subprocess.run(
        [CHROMIUM, *options.split(), f"--window-size={width},2000",
         f"--user-data-dir={tmp_path / 'profile'}", page.as_uri()],
        capture_output=True, text=True, check=True, timeout=120,
    ).stdout  # fmt: skip
    title = re.search(r"<title>(.*?)</title>", dom)[1].replace("&quot;", '"')
    assert title == '{"scroll":0,"empty":0,"figures":7}'
