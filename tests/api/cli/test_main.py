"""The command line as a user types it: what is printed where, and the exit status."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.service.settings import read_settings
from sim.faults import InvalidInput
from tests.support.command_line import BRINK, assert_refused, brink, brink_process
from tests.support.waiting import HANG_SECONDS, wait_until

ROOT = Path(__file__).parents[3]
SMALL = ["us-japan-autos-1995", "--trials", "2000", "--seed", "5", "--engine", "inline"]


def test_a_run_prints_its_answer_and_leaves_its_results(tmp_path):
    found = brink_process("run", *SMALL, "--out", "here", cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    assert found.stderr == ""
    for expected in ("long-list", "is the best of 6 strategies", "Results: here", "2,000 trials"):
        assert expected in " ".join(found.stdout.split())
    assert brink("verify", "here", cwd=tmp_path).returncode == 0
    again = brink("run", *SMALL, "--out", "here", cwd=tmp_path)
    assert again.returncode == 0
    without_time = re.compile(r"in\s+[\d.]+\s+s")
    assert without_time.sub("", again.stdout) == without_time.sub("", found.stdout)


def test_json_is_the_summary_and_nothing_else(tmp_path):
    found = brink("run", *SMALL, "--strategy", "bluff", "--strategy", "keep-talking", "--json", cwd=tmp_path)
    assert found.returncode == 0
    summary = json.loads(found.stdout)
    assert summary["trials"] == 2000
    assert set(summary["strategies"]) == {"keep-talking", "bluff"}
    folder = tmp_path / "runs" / "us-japan-autos-1995-2000-5"
    assert summary == json.loads((folder / "summary.json").read_text())


def test_a_precision_says_what_it_took(tmp_path):
    one = ["run", *SMALL[:1], "--strategy", "bluff", "--engine", "inline", "--out", "here"]
    found = brink(*one, "--precision", "agreement=0.01", cwd=tmp_path)
    assert (found.returncode, found.stderr) == (0, "")
    assert "±0.01 requested" in found.stdout
    assert "It took 16,384 trials of each strategy" in found.stdout
    short = brink(*one, "--precision", "agreement=0.001", "--trials", "20000", "--json", cwd=tmp_path)
    assert short.returncode == 1
    assert re.fullmatch(
        r"precision not reached with 20000 trials of each strategy .20000 at most.: agreement is known to ±0\.00\d+, "
        r"not ±0\.001, which would take about \d{6} trials\. The results are kept; the same command with more --trials "
        r"continues from there\n",
        short.stderr,
    )
    answer = json.loads(short.stdout)
    assert answer.pop("precision")["looks"] == [16_384, 20_000]
    assert answer == json.loads((tmp_path / "here" / "summary.json").read_text())


def test_a_dry_run_prints_the_cost_and_makes_no_folder(tmp_path):
    found = brink("run", *SMALL, "--dry-run", "--json", cwd=tmp_path, status=0)
    cost = json.loads(found.stdout)
    assert cost["rows"] == cost["trials"] * len(cost["strategies"])
    assert cost["bytes"] > 100 * cost["rows"]
    most = brink("run", SMALL[0], "--precision", "agreement=0.01", "--dry-run", cwd=tmp_path, status=0)
    assert "at most" in most.stdout
    assert "MB for each process" in most.stdout
    assert_refused(brink("run", *SMALL, "--dry-run", "--workers", "0", cwd=tmp_path), "--workers")
    assert list(tmp_path.iterdir()) == []


def test_progress_is_shown_on_a_terminal(tmp_path):
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [BRINK, "run", *SMALL, "--out", "here"], cwd=tmp_path, stderr=theirs, stdout=subprocess.DEVNULL
    ) as run:
        os.close(theirs)
        seen = b""
        while True:
            try:
                seen += os.read(ours, 4096)
            except OSError:
                break
        run.wait(HANG_SECONDS)
    os.close(ours)
    assert run.returncode == 0
    assert b"12,000 of 12,000 trials" in seen


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "us-japan-auto"], ["us-japan-autos-1995"]),
        (["run", "none.yaml"], ["none.yaml", "No such file"]),
        (["run", *SMALL[:1], "--trials", "0"], ["--trials", "found 0"]),
        (["run", *SMALL[:1], "--trials", "many"], ["--trials", "many"]),
        (["run", *SMALL[:1], "--seed", "-1"], ["--seed", "-1"]),
        (["run", *SMALL[:1], "--seed", str(2**63)], ["--seed", str(2**63 - 1)]),
        (["run", *SMALL[:1], "--strategy", "surrender"], ["surrender", "keep-talking"]),
        (["run", *SMALL[:1], "--engine", "dask"], ["--engine", "dask"]),
        (["run", *SMALL[:1], "--ray-address", "127.0.0.1:1"], ["--ray-address", "127.0.0.1:1"]),
        (["run", *SMALL[:1], "--shard-trials", "0"], ["--shard-trials"]),
        (["run", *SMALL[:1], "--precision", "agreement"], ["--precision", "agreement=0.001"]),
        (["run", *SMALL[:1], "--precision", "threats=0.1"], ["--precision", "agreement_week", "found 'threats'"]),
        (["run", *SMALL[:1], "--precision", "threat=0.1", "--design", "latin_hypercube"], ["random, sobol"]),
        (["run", *SMALL[:1], "--no-such"], ["--no-such"]),
        (["run"], ["SCENARIO"]),
        (["sprint"], ["sprint"]),
        (["serve", "--host", "0.0.0.0"], ["--host", "0.0.0.0", "loopback"]),
    ],
)
def test_wrong_input_is_refused(tmp_path, arguments, says):
    assert_refused(brink(*arguments, cwd=tmp_path), *says)
    assert list(tmp_path.iterdir()) == []


def test_a_process_ends_with_the_status_of_wrong_input(tmp_path):
    assert_refused(brink_process("run", "none.yaml", cwd=tmp_path), "none.yaml", "No such file")


@pytest.mark.parametrize("command", [["serve", "--port", "0"], ["runner"], ["migrate"], ["keys", "list"]])
def test_every_wrong_setting_is_named_by_its_variable(tmp_path, monkeypatch, command):
    monkeypatch.setenv("BRINK_MAX_TRIALS", "many")
    monkeypatch.setenv("BRINK_ENGINE", "dask")
    monkeypatch.setenv("BRINK_LEASE_SECONDS", "0.5")
    monkeypatch.setenv("BRINK_DATABASE_URL", "mysql://brink:secret@host/name")
    found = brink(*command, cwd=tmp_path)
    assert_refused(found)
    assert sorted(found.stderr.splitlines()) == [
        "BRINK_DATABASE_URL: must be an SQLAlchemy URL, postgresql+psycopg://user@host/name or sqlite:////path",
        "BRINK_ENGINE: must be 'auto', 'inline' or 'ray' (found 'dask')",
        "BRINK_LEASE_SECONDS: must be greater than 1 (found '0.5')",
        "BRINK_MAX_TRIALS: must be a valid integer (found 'many')",
    ]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["secret", "nosuch://secret", "mysql://secret", "sqlite://", "sqlite:///:memory:"])
def test_a_database_that_cannot_hold_jobs_is_refused(monkeypatch, url):
    monkeypatch.setenv("BRINK_DATABASE_URL", url)
    with pytest.raises(InvalidInput, match=r"^BRINK_DATABASE_URL: must be an SQLAlchemy URL[^\n]*$") as refused:
        read_settings()
    assert "secret" not in str(refused.value)


def test_every_fault_of_a_file_is_named_with_its_line(tmp_path):
    (tmp_path / "a.yaml").write_text(
        "schema: 1\nname: a b\nhorizon_weeks: 0\nissues:\n  x: {weight: 1, gap: 2, sender_concession: 0.1, "
        "target_concession: 0.1}\nparameters:\n  folow_through: 0.5\n"
    )
    for command in (["validate", "a.yaml"], ["run", "a.yaml", "--trials", "10"]):
        found = brink(*command, cwd=tmp_path)
        assert_refused(found, "a.yaml:2", "a.yaml:3", "a.yaml:5", "a.yaml:7", "follow_through")
        assert len(found.stderr.splitlines()) == 4


def test_the_folder_of_another_run_is_left_alone(tmp_path):
    brink("run", *SMALL, "--out", "here", cwd=tmp_path)
    before = (tmp_path / "here" / "summary.json").read_bytes()
    assert_refused(brink("run", *SMALL, "--seed", "6", "--out", "here", cwd=tmp_path), "seed is 5, not 6")
    assert (tmp_path / "here" / "summary.json").read_bytes() == before


@pytest.mark.parametrize("engine", ["inline", pytest.param("ray", marks=pytest.mark.slow)])
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_run_keeps_what_is_committed_and_says_how_to_continue(tmp_path, engine, end):
    command = [BRINK, "run", "us-japan-autos-1995", "--trials", "3000000", "--seed", "5", "--engine", engine]
    command += ["--out", "here", "--shard-trials", "20000", "--workers", "1"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        wait_until(lambda: list(tmp_path.glob("here/trials/*/*.parquet")))
        run.send_signal(end)
        output, error = run.communicate(timeout=HANG_SECONDS)
    assert run.returncode == 1
    assert output == ""
    assert not list(tmp_path.glob("here/.work/*"))
    assert re.fullmatch(
        r"stopped with \d+ of 18000000 trials committed; the same command continues from there\n", error
    )
    assert (tmp_path / "here" / "manifest.json").exists()


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_a_command_loads_what_it_needs_ends_it_with_status_1(tmp_path, end):
    """At any moment but a run's own: here, while the program imports the modules of the command."""
    script = (
        "import builtins, os, sys\n"
        "plain = builtins.__import__\n"
        "def importing(name, *rest):\n"
        f"    if name.startswith('cluster.'): os.kill(os.getpid(), {int(end)})\n"
        "    return plain(name, *rest)\n"
        "from api.cli.main import main\n"
        "builtins.__import__ = importing\n"
        "sys.argv = ['brink', 'verify', 'here']\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stdout, done.stderr.strip()) == (1, "", "stopped")


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
        signal.SIGTERM,
        pytest.param(signal.SIGHUP, marks=pytest.mark.slow),
    ],
)
def test_a_signal_while_the_service_starts_ends_it(tmp_path, end):
    environment = {**os.environ, "BRINK_DATA_DIR": str(tmp_path)}
    command = [BRINK, "serve", "--port", "0", "--no-runner"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=environment) as service:
        # The first line is written just before the web server starts.
        assert service.stderr.readline()
        service.send_signal(end)
        _, error = service.communicate(timeout=HANG_SECONDS)
    assert service.returncode in (0, 1)
    assert "Traceback" not in error


def test_nohup_keeps_a_run_alive_when_the_terminal_is_closed(tmp_path):
    script = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "from api.cli import main\n"
        "main._handle_signals()\n"
        "os.kill(os.getpid(), signal.SIGHUP)\n"
        "print('alive')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stdout) == (0, "alive\n")


@pytest.mark.parametrize("command", ["parameters", "--help", f"run {' '.join(SMALL)} --json"])
def test_a_closed_pipe_is_not_an_error(tmp_path, command):
    found = subprocess.run(
        f"{BRINK} {command} | true; exit ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    )
    assert (found.returncode, found.stderr) == (0, "")


def test_lists_of_scenarios_and_parameters_are_printed(tmp_path):
    scenarios = brink("scenarios", cwd=tmp_path)
    assert scenarios.returncode == 0
    assert "us-japan-autos-1995" in scenarios.stdout
    parameters = brink("parameters", cwd=tmp_path).stdout
    assert "credibility_decay" in parameters
    assert "bn USD" in parameters
    valid = brink("validate", "us-japan-autos-1995", cwd=tmp_path)
    assert valid.returncode == 0
    assert "valid" in valid.stdout


def test_verify_names_the_file(tmp_path):
    brink("run", *SMALL, "--out", "here", cwd=tmp_path)
    summary = tmp_path / "here" / "summary.json"
    summary.write_text(summary.read_text().replace('"complete": true', '"complete": false'))
    found = brink("verify", "here", cwd=tmp_path)
    assert (found.returncode, found.stderr) == (1, "summary.json: complete differs from the trials\n")
    victim = tmp_path / "here" / "trials" / "strategy=bluff" / "part-00000.parquet"
    os.truncate(victim, 1000)
    damaged = brink("summary", "here", cwd=tmp_path, status=1)
    assert "strategy=bluff/part-00000.parquet is missing or damaged" in damaged.stderr
    found = brink("verify", "here", cwd=tmp_path)
    assert found.returncode == 1
    assert "strategy=bluff/part-00000.parquet: is truncated" in found.stderr


def test_probable_mistakes_are_printed_once_apart_from_faults_and_stay_with_the_summary(tmp_path):
    issue = "{weight: 1, gap: 0.5, sender_concession: 0.01, target_concession: 0.01}"
    text = f"schema: 1\nname: high\nissues:\n  a: {issue}\nparameters: {{tariff_rate: 25}}\n"
    (tmp_path / "high.yaml").write_text(text)
    valid = brink("validate", "high.yaml", cwd=tmp_path)
    assert valid.returncode == 0
    assert valid.stdout.startswith("high: valid.")
    warning = "warning: high.yaml:5:parameters.tariff_rate: reaches 25, which is 2,500 %; a tariff of 25 % is 0.25\n"
    assert valid.stderr == warning
    document = json.loads(brink("validate", "high.yaml", "--json", cwd=tmp_path).stdout)
    assert (document["valid"], document["errors"]) == (True, [])
    assert [(one["field"], one["line"]) for one in document["warnings"]] == [("parameters.tariff_rate", 5)]
    found = brink("run", "high.yaml", "--trials", "200", "--engine", "inline", "--out", "here", "--json", cwd=tmp_path)
    assert found.stderr == warning
    assert [one["field"] for one in json.loads(found.stdout)["warnings"]] == ["parameters.tariff_rate"]
    assert brink("verify", "here", cwd=tmp_path).returncode == 0
    summary = json.loads(brink("summary", "here", "--json", cwd=tmp_path).stdout)
    assert [one["field"] for one in summary["warnings"]] == ["parameters.tariff_rate"]


def test_the_faults_of_values_that_json_cannot_hold_are_printed_as_json(tmp_path):
    (tmp_path / "a.yaml").write_text("schema: 1\nname: a\nhorizon_weeks: .inf\ndiscount_rate: .nan\nissues: {}\n")
    (tmp_path / "b.json").write_text('{"schema": 1, "name": "a\\ud800", "discount_rate": NaN, "deficit": 1e999}')
    for name in ("a.yaml", "b.json"):
        found = brink("validate", name, "--json", cwd=tmp_path, status=2)
        assert json.loads(found.stdout)["valid"] is False
        assert "discount_rate" in found.stderr
