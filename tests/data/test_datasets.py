"""Every real table trains from one command line, with nothing prepared by hand."""

import json
import os
from pathlib import Path

import pytest

from onefold.cli import main

FOLDER = Path(os.environ.get("ONEFOLD_DATA", Path(__file__).parents[3] / "shared" / "data"))
pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="the real tables are neither in ONEFOLD_DATA nor in ../shared/data"
)
EPOCHS = ["--epochs", "2", "--batch-size", "256"]

#: file, options, and a score that a network of two epochs gets
TABLES = {
    "fashion_mnist": ("fashion_mnist/t10k-images-idx3-ubyte.gz", ["--target", "label"], ("accuracy", 0.6)),
    "optdigits": ("optdigits/optdigits-train.csv", ["--target", "c64", "--no-header"], ("accuracy", 0.8)),
    "california_housing": (
        "california_housing/housing.csv", ["--target", "median_house_value"], ("r2", 0.4),
    ),
    "telco_churn": ("telco_churn/telco-customer-churn-by-IBM.csv", ["--target", "Churn"], ("accuracy", 0.7)),
    "taxi_fare": (
        "taxi_fare/taxi-fare-*.csv", ["--target", "fare_amount"], ("r2", 0.3),
    ),
    "bike_sharing": (
        "bike_sharing/hour_train.csv",
        ["--target", "cnt", "--drop", "casual", "--drop", "registered", "--split-by", "dteday"], ("r2", -1.0),
    ),
    "airlines_2k": (
        "airlines_2k/allyears2k_headers.csv.gz",
        ["--target", "IsArrDelayed", "--encoding", "latin-1", "--drop", "ArrDelay"], ("accuracy", 0.6),
    ),
    "flights_200k": ("flights_200k/flights-200k.parquet", ["--target", "delay"], ("r2", -0.1)),
    "binary": ("lightgbm_examples/binary.train", ["--target", "c0", "--no-header"], ("accuracy", 0.5)),
    "multiclass": ("lightgbm_examples/multiclass.train", ["--target", "c0", "--no-header"], ("accuracy", 0.2)),
    "sleep": ("pmlb/sleep.tsv.gz", ["--target", "target"], ("accuracy", 0.6)),
    "kddcup": ("pmlb/kddcup.tsv.gz", ["--target", "target"], ("accuracy", 0.98)),
    "shuttle": ("pmlb/shuttle.tsv.gz", ["--target", "target"], ("accuracy", 0.95)),
    "magic": ("pmlb/magic.tsv.gz", ["--target", "target"], ("accuracy", 0.75)),
    "201_pol": ("pmlb/201_pol.tsv.gz", ["--target", "target", "--task", "regression"], ("r2", 0.5)),
    "574_house_16H": ("pmlb/574_house_16H.tsv.gz", ["--target", "target"], ("r2", 0.1)),
    "connect_4": ("pmlb/connect_4.tsv.gz", ["--target", "target"], ("accuracy", 0.6)),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_trains_from_one_command_line(name, tmp_path, capsys):
    file, options, (measure, least) = TABLES[name]
    model = tmp_path / "m.onefold"
    status = main(
        ["train", str(FOLDER / file), *options, *EPOCHS, "--json", "--quiet", "-o", str(model)]
    )
    out, err = capsys.readouterr()
    assert status == 0, err
    assert json.loads(out)["test"][measure] >= least
    assert model.stat().st_size > 0
