"""Tables from PostgreSQL, S3 and the web: `make test-remote` has what these tests need."""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import duckdb
import numpy as np
import pytest
from cli_shared import FAST, PENGUINS

from onefold import TableError
from onefold.data import Table
from onefold.data.session import Session

READ = "read_csv('{}', nullstr = 'NA')".format


def extension(name):
    """Whether one of DuckDB's extensions is here; skips where it is not."""
    try:
        with Session(elsewhere=True).reading() as database:
            database.execute(f"load {name}")
    except duckdb.Error:
        pytest.skip(f"DuckDB's extension {name} is not here; make test-remote installs it")


@pytest.fixture(autouse=True)
def _own_home(tmp_path, monkeypatch):
    """No secrets and no extensions of the user's own, and no credentials from the environment."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)


# What the tables are read from.


@pytest.fixture(scope="module")
def postgres():
    """A PostgreSQL of our own behind a socket; gives what DuckDB attaches, and a way to run SQL."""
    extension("postgres_scanner")
    found = [shutil.which("initdb"), *sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))]
    binaries = next((Path(path).parent for path in reversed(found) if path), None)
    if binaries is None:
        pytest.skip("PostgreSQL is not installed")
    # It refuses to run as root; a socket's path is short.
    folder = tempfile.mkdtemp(prefix="onefold-", dir="/tmp")
    user = {}
    if os.getuid() == 0:
        user = {"user": "nobody", "group": "nogroup"}
        shutil.chown(folder, "nobody", "nogroup")

    def call(program, *options):
        command = [binaries / program, "-D", f"{folder}/data", *options]
        try:
            subprocess.run(command, cwd=folder, capture_output=True, check=True, timeout=60, **user)
        except (OSError, subprocess.SubprocessError) as error:
            pytest.skip(f"PostgreSQL does not run here: {error}")

    try:
        call("initdb", "--no-sync", "--auth", "trust", "--username", "shop")
        options = f"-k {folder} -c listen_addresses='' -c fsync=off -c autovacuum=off"
        call("pg_ctl", "-w", "-l", f"{folder}/log", "-o", options, "start")
        try:
            attach = f"attach 'host={folder} dbname=postgres user=shop' as shop (type postgres)"

            def execute(*statements):
                with Session(elsewhere=True, setup=[attach]).reading() as database:
                    for statement in (*statements, "commit"):
                        database.execute(statement).fetchall()

            execute(f"create table shop.penguins as from {READ(PENGUINS)}")
            yield attach, execute
        finally:
            call("pg_ctl", "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def serving(handler):
    """A server of a thread of its own; gives its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


class Quiet(SimpleHTTPRequestHandler):
    """Files of a folder, without a word on stderr; whole ones, for it knows no ranges."""

    def log_message(self, *_):
        pass


class Forbidding(BaseHTTPRequestHandler):
    """Wants credentials that nobody has."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture
def web(tmp_path):
    """A folder and its address in the web."""
    extension("httpfs")
    folder = tmp_path / "web"
    folder.mkdir()
    with serving(partial(Quiet, directory=str(folder))) as address:
        yield folder, f"http://{address}"


@pytest.fixture(scope="module")
def storage():
    """A client of an S3 of our own with a bucket "shop", and its address."""
    extension("httpfs")
    boto3 = pytest.importorskip("boto3", exc_type=ImportError)
    server = pytest.importorskip("moto.server", exc_type=ImportError)
    running = server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    running.start()
    address = ":".join(map(str, running.get_host_and_port()))
    client = boto3.client(
        "s3", endpoint_url=f"http://{address}", region_name="us-east-1",
        aws_access_key_id="me", aws_secret_access_key="hunter2",
    )  # fmt: skip
    client.create_bucket(Bucket="shop")
    yield client, address
    running.stop()


def secret(address):
    return (
        f"create secret (type s3, key_id 'me', secret 'hunter2', endpoint '{address}', "
        "url_style 'path', use_ssl false, region 'us-east-1')"
    )


def penguins(folder):
    """The penguins as Parquet in two parts."""
    for name, rows in {"a": "limit 200", "b": "offset 200"}.items():
        duckdb.sql(f"copy (from {READ(PENGUINS)} {rows}) to '{folder}/{name}.parquet'")
    return f"{folder}/*.parquet"


# The same rows give the same model, wherever they come from.


@pytest.fixture
def same(run):
    """Checks that a table elsewhere is to every command what a file here is."""

    def results(name, *table):
        status, out, err = run("train", *table, "--target", "species", *FAST, "-o", name)
        assert status == 0, err
        found = [out.split("fingerprint")[1].split()[0]]
        for command in ("predict", "evaluate", "verify"):
            status, out, err = run(command, name, *table, "-q")
            assert status == 0, err
            found.append(out)
        return found

    def check(here, *elsewhere):
        expected = results("here", here)
        for table in elsewhere:
            assert results("there", *table) == expected

    return check


def test_postgres(same, postgres):
    same(PENGUINS, ["--sql", f"{postgres[0]}; select * from shop.penguins"])


def test_storage(same, storage, tmp_path):
    client, address = storage
    here = penguins(tmp_path)
    for path in sorted(tmp_path.glob("*.parquet")):
        client.upload_file(str(path), "shop", f"penguins/{path.name}")
    client.upload_file(PENGUINS, "shop", "penguins.csv")
    same(
        here,
        ["s3://shop/penguins/*.parquet", "--sql", f"{secret(address)}; from data"],
        ["--sql", f"{secret(address)}; from 's3://shop/penguins/*.parquet'"],
        ["s3://shop/penguins.csv", "--sql", f"{secret(address)}; from data"],
    )


def test_credentials_that_are_not_in_the_model(same, run, storage, tmp_path, monkeypatch):
    client, address = storage
    client.upload_file(PENGUINS, "shop", "penguins.csv")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "me")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    place = f"set s3_endpoint = '{address}'; set s3_url_style = 'path'; set s3_use_ssl = false"
    same(PENGUINS, ["s3://shop/penguins.csv", "--sql", f"{place}; from data"])
    assert b"hunter2" not in (tmp_path / "there").read_bytes()
    # A secret that DuckDB keeps needs no query at all.
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with Session(elsewhere=True).reading() as database:
        database.execute(secret(address).replace("create", "create persistent", 1))
    same(PENGUINS, ["s3://shop/penguins.csv"])
    _, _, err = run(
        "train", "s3://shop/penguins.csv", "--target", "species", "--epochs", 1,
        "--sql", f"{secret(address)}; from data",
    )  # fmt: skip
    assert "note: the query holds a password, and is kept in the model file" in err


def test_the_web(same, web):
    folder, address = web
    shutil.copy(PENGUINS, folder / "p.csv")
    (folder / "semicolons.csv").write_text(Path(PENGUINS).read_text().replace(",", ";"))
    (folder / "p.tsv.gz").write_bytes(
        gzip.compress(Path(PENGUINS).read_text().replace(",", "\t").encode())
    )
    duckdb.sql(f"copy (from {READ(PENGUINS)}) to '{folder}/p.parquet'")
    same(
        PENGUINS,
        *([f"{address}/{name}"] for name in ("p.csv", "semicolons.csv", "p.tsv.gz", "p.parquet")),
    )


def test_a_query_of_the_model_is_given_again(run, web):
    folder, address = web
    shutil.copy(PENGUINS, folder / "p.csv")
    query = ["--sql", "select * from data where year > 2007"]
    status, _, err = run("train", f"{address}/p.csv", "--target", "species", *FAST, *query)
    assert status == 0, err
    status, _, err = run("verify", "model.onefold", f"{address}/p.csv")
    assert (status, "which is run when you give it: --sql" in err) == (2, True)
    assert run("verify", "model.onefold", f"{address}/p.csv", *query)[0] == 0


def test_a_name_that_stands_twice_in_the_web(run, web):
    folder, address = web
    (folder / "t.csv").write_text("x,y,x\n" + "1,2,3\n" * 10)
    status, _, err = run("train", f"{address}/t.csv", "--target", "y")
    assert (status, "has two columns called 'x'" in err) == (2, True)


# Every reading sees the same rows in the same order.


@pytest.fixture(scope="module")
def long_table(postgres):
    """A table that DuckDB reads in several tasks."""
    attach, execute = postgres
    execute(
        "create table shop.long as select range as i, repeat('x', 200) as t from range(200000)",
        "call postgres_execute('shop', 'analyze long')",  # which says how many tasks there are
    )
    return attach, execute


def test_a_long_table_keeps_its_order(long_table):
    table = Table(sql=f"{long_table[0]}; select i from shop.long")
    for _ in range(3):
        np.testing.assert_array_equal(table.column("i"), np.arange(200_000.0))


def test_a_table_that_others_write_to(long_table):
    attach, execute = long_table
    table = Table(sql=f"{attach}; select i, -i as j from shop.long where i < 1000")
    before = table.column("i")
    execute("update shop.long set i = i where i < 500", "delete from shop.long where i = 700")
    np.testing.assert_array_equal(table.column("j"), -before)
    table.close()
    with pytest.raises(TableError, match="the query has changed while it was read"):
        table.column("j")


GONE = """
import sys
from onefold.data import Table
from onefold.data.session import Session
query, attach = sys.argv[1:]
tables = [Table(sql=query) for _ in range(2)]
assert all(len(table.column("i")) == 7 for table in tables)
with Session(elsewhere=True, setup=[attach]).reading() as database:
    end = "select pg_terminate_backend(pid) from pg_stat_activity where query like ''%long%''"
    end += " and pid <> pg_backend_pid()"
    database.execute(f"call postgres_execute('shop', '{end}')").fetchall()
try:
    tables[0].column("i")
except Exception as error:
    print(type(error).__name__)
"""


def test_a_server_that_goes_away(long_table):
    attach, _ = long_table
    query = f"{attach}; select i from shop.long where i > 199992"
    command = [sys.executable, "-c", GONE, query, attach]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "TableError\n", "")


def test_a_file_that_changes_in_the_web(web):
    folder, address = web
    (folder / "t.csv").write_text("x,y\n" + "1,2\n" * 10)
    table = Table(f"{address}/t.csv")
    assert len(table.column("x")) == 10
    (folder / "t.csv").write_text("x,y\n" + "1,22\n" * 10)
    with pytest.raises(TableError, match=r"t\.csv has changed while it was read"):
        table.column("y")


# What goes wrong is said, without passwords.


@pytest.mark.parametrize(
    ("attach", "said"),
    [
        ("attach 'host=localhost port=1 user=me password=hunter2'", "Connection refused"),
        ("attach 'host=no.such.host. user=me password=''hunter2'' dbname=x'", "no.such.host"),
        ("attach 'postgresql://me:hunter2@localhost:1/x'", "Connection refused"),
    ],
)
def test_no_postgres_there(run, attach, said):
    extension("postgres_scanner")
    query = f"{attach} as shop (type postgres); from shop.penguins"
    status, _, err = run("train", "--sql", query, "--target", "species")
    assert (status, said in err, "hunter2" in err, len(err.splitlines())) == (2, True, False, 1)


def test_a_query_over_postgres_with_an_error(run, postgres):
    attach, _ = postgres
    status, _, err = run("train", "--sql", f"{attach}; from shop.penguin", "--target", "species")
    assert (status, 'Did you mean "penguins"?' in err, len(err.splitlines())) == (2, True, 1)


def test_nothing_there(run, web, storage):
    _, address = web
    said = {
        f"{address}/t.csv": "404 Not Found",
        "http://127.0.0.1:1/t.csv": "Could not connect to server",
        "s3://shop/none-*.parquet": "No files found",
        "s3://none/t.parquet": "404",
    }
    for source, words in said.items():
        options = ["--sql", f"{secret(storage[1])}; from data"] if source[0] == "s" else []
        status, _, err = run("train", source, "--target", "y", *options)
        assert (status, source in err, words in err, len(err.splitlines())) == (2, True, True, 1)


def test_credentials_that_will_not_do(run):
    extension("httpfs")
    with serving(Forbidding) as address:
        query = f"{secret(address)}; from data"
        status, _, err = run("train", "s3://shop/t.parquet", "--target", "y", "--sql", query)
    assert (status, len(err.splitlines()), "hunter2" in err) == (2, 1, False)
    assert "HTTP 403 Forbidden" in err
    assert "AWS_ACCESS_KEY_ID" in err
