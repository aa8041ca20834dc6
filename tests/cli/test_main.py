"""The command as its user meets it: one clear line for what is wrong, and everything a flag."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import cli.envproxy
import cli.main
import pps_qmix.runtime.processes
from cli.flags import named
from cli.main import build_parser, main
from client.device import DeviceError
from envproxy.backend import map_names
from operations.defaults import descriptions
from operations.paths import shown
from pps_qmix.configuration import PresetError, default_config, parse_value, preset, preset_names
from server.rounds import RoundsError
from server.run_directory import NotKeptError, RunDirectory
from server.settings import Settings, check_settings
from tests.nasty import NOT_UTF8, names
from tests.waiting import WAIT_LIMIT


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A home, a working directory and a terminal of the test's own."""
    monkeypatch.setenv("PPS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the command; return its exit code, output and errors."""

    def run(*arguments: str) -> tuple[int, str, str]:
        try:
            code = main(arguments)
        except SystemExit as end:  # argparse ends so
            code = int(end.code or 0)
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The directory of a run that was begun in runs/."""
    config = {**default_config(), "runs": str(tmp_path / "runs"), "run": "begun", "seed": 4}
    return RunDirectory.create(check_settings(config)).path


def test_a_command_holds_no_torch_until_it_computes() -> None:
    """It takes seconds and 190 MB, in an env proxy, a supervisor and on every device."""
    code = "import sys, cli.main; sys.exit('torch' in sys.modules or 'numba' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


# --- what is wrong --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("", r"the following arguments are required: COMMAND"),
        ("trian", r"invalid choice: 'trian' .*\. Did you mean \"train\"\?"),
        ("train --lerning-rate 1", r"unrecognized arguments: --lerning-rate 1\. Did you mean \"--learning-rate\"\?"),
        ("status --frobnicate", r"unrecognized arguments: --frobnicate"),
        ("train --map", r"argument --map: expected one argument"),
        ("train --resume", r"argument --resume: expected one argument"),
        (
            "train --preset quik",
            r"argument --preset: invalid choice: 'quik' \(choose from '?quick'?\)\. Did you mean \"quick\"\?",
        ),
        ("train --runtime here", r"argument --runtime: invalid choice: 'here'"),
        ("train --seed five", r"seed: expected a whole number, found 'five'"),
        ("train --total-steps 1.5", r"total-steps: expected a whole number, found '1.5'"),
        ("train --gamma high", r"gamma: expected a number, found 'high'"),
        ("train --gamma 1.5", r"gamma: input should be less than or equal to 1, found 1.5"),
        ("train --learning-rate nan", r"learning-rate: input should be a finite number, found nan"),
        ("train --battles 0", r"battles: input should be greater than 0, found 0"),
        ("train --seed -1", r"seed: input should be greater than or equal to 0, found -1"),
        ("train --base vdnn", r"base: input should be 'vdn' or 'qmix', found 'vdnn'"),
        ("train --mixing split", r"mixing: input should be 'solo' or 'joint', found 'split'"),
        ("train --strategy rs-pp", r'strategy: unknown strategy "rs-pp"; .*Did you mean "rs-pps"\?'),
        ("train --centralised yes", r"centralised: expected true or false, found 'yes'"),
        (
            "train --centralised true --runtime flower",
            r"runtime: a centralised run has nothing to federate; expected in-process, found flower",
        ),
        (
            "train --centralised true --strategy rs-pps",
            r"centralised: expected strategy 'none' and mixing 'joint', found 'rs-pps' and 'joint': all agents have .*",
        ),
        (
            "train --runtime in-process --device cuda",
            r"device: PyTorch .* finds no CUDA device on this machine; expected 'cpu', or 'auto' for CUDA .* 'cuda'",
        ),
        ("train --threads -1", r"threads: input should be greater than or equal to 0, found -1"),
        ("train --buffer-size 10", r"buffer-size: expected at least batch-size \(96\), found 10"),
        (
            "train --aggregation-every 300 --train-per-battle 0.0001",
            r"aggregation-every: 300 training steps at train-per-battle 0.0001 are a round of 3000095 battles; .*",
        ),
        (
            "train --mixing joint --batch-size 9000 --buffer-size 9000",
            r"joint mixing with batches of 9000 battles; on 3m joint mixing takes up to 8721",
        ),
        ("train --hidden 100000000", r"hidden: input should be less than or equal to 8192, found 100000000"),
        (
            "train --buffer-size 10000001",
            r"buffer-size: input should be less than or equal to 10000000, found 10000001",
        ),
        ("train --reward-buffer 100001", r"reward-buffer: input should be less than or equal to 100000, found 100001"),
        (
            "train --total-steps 10000000000000000000",
            r"total-steps: input should be less than 281474976710656, found .*",
        ),
        ("train --round-timeout 1e300", r"round-timeout: input should be less than or equal to 10000000, found 1e.300"),
        ("train --device-grace -1", r"device-grace: input should be greater than or equal to 0, found -1.0"),
        ("train --runs=", r"runs: expected a folder, found nothing"),
        ("train --resume=", r"resume: expected the folder or the name of a run, found nothing"),
        ("train --run a/b", r"run: string should match pattern .*, found 'a/b'"),
        ("train --map 3mm", r"the backend 'skirmish' has no map '3mm'; it has .*\b3m\b.*\. Did you mean \"3m\"\?"),
        ("train --backend smack", r"unknown backend 'smack'; installed: .*skirmish.*\. Did you mean \"smac\"\?"),
        ("train --rules step-mul=0", r"rules: step-mul: expected 1..1024, found 0"),
        ("train --rules fog=true", r"rules: there is no 'fog'; there are step-mul, .*"),
        ("train --resume nothing", r".*/runs/nothing is not a run directory: it has no readable run.json"),
        ("train --resume .", r".*/runs is not a run directory: .*|.* is not a run directory: .*"),
        ("evaluate", r"the following arguments are required: RUN"),
        ("evaluate nothing", r"nothing is not a run directory: it has no readable run.json"),
        ("evaluate x --evaluate-battles 0", r"evaluate-battles: expected 1..1048574, found 0"),
        (
            "evaluate x --evaluate-battles 1048575",
            r"evaluate-battles: expected 1..1048574, found 1048575",
        ),
        ("evaluate x --evaluate-battles many", r"argument --evaluate-battles: invalid int value: 'many'"),
        ("evaluate x --seed -3", r"seed: expected 0\.\.2\^63-1, found -3"),
        ("envproxy --map 3mm", r"the backend 'skirmish' has no map '3mm'; .*"),
        ("envproxy --arena a=3mm", r"the backend 'skirmish' has no map '3mm'; .*"),
        ("envproxy --arena ../x", r"arena: expected NAME or NAME=MAP, .*, found '../x'"),
        ("envproxy --arena =3m", r"arena: expected NAME or NAME=MAP, .*, found '=3m'"),
        ("envproxy --arena a=", r"arena: expected NAME or NAME=MAP, .*, found 'a='"),
        ("envproxy --listen a..b:1", r"listen: expected HOST:PORT, found 'a..b:1'"),
        ("certs --seats 3", r"the following arguments are required: DIR"),
        ("envproxy --arena a --arena a=8m", r"arena: 'a' is given twice"),
        ("envproxy --rules fog=true", r"rules: there is no 'fog'; there are step-mul, .*"),
        ("envproxy --battles 1025", r"battles: expected 1..1024, found 1025"),
        ("envproxy --seat-timeout 0", r"seat-timeout: expected more than 0 seconds, .*, found 0"),
        ("envproxy --seat-timeout inf", r"seat-timeout: expected more than 0 seconds, .*, found inf"),
        ("envproxy --seat-timeout nan", r"seat-timeout: expected more than 0 seconds, .*, found nan"),
        ("envproxy --listen localhost", r"listen: expected HOST:PORT, found 'localhost'"),
        (
            "envproxy --listen 0.0.0.0:1",
            r"listen: .* reach 0\.0\.0\.0:1, .*; give --certificate .* --insecure .*",
        ),
        ("envproxy --certificate a.crt", r"certificate: --certificate and --private-key go together"),
        ("envproxy --certificate a.crt --private-key a.key", r"No such file or directory: 'a.crt'"),
        (
            "envproxy --certificate a --private-key b --insecure",
            r"insecure: with --certificate nothing is in plain.*",
        ),
        ("envproxy --listen :http", r"listen: expected HOST:PORT, found ':http'"),
    ],
)
def test_a_wrong_argument_is_told_in_one_line(
    command: Callable[..., tuple[int, str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: str,
    said: str,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    code, output, errors = command(*arguments.split())
    assert code == 2
    assert output == ""
    (line,) = errors.splitlines()
    assert re.fullmatch(rf"pps-qmix( \w+)?: .*{said}.*", line), line
    assert not (tmp_path / "runs").exists()  # nothing was begun
    assert not (tmp_path / "home" / "tokens" / "a").exists()


def test_every_wrong_setting_has_a_line(command: Callable[..., tuple[int, str, str]]) -> None:
    code, _, errors = command("train", "--gamma", "2", "--battles", "0")
    assert code == 2
    assert [line.split(":")[-2].split()[-1] for line in errors.splitlines()] == ["battles", "gamma"]


def test_a_run_that_has_not_ended_a_round_cannot_be_evaluated(
    command: Callable[..., tuple[int, str, str]], run: Path
) -> None:
    code, _, errors = command("evaluate", str(run))
    assert code == 2
    assert errors == f"pps-qmix: {run} has no checkpoint yet: its first round has not ended\n"


def test_a_name_that_is_taken_is_refused_before_anything_is_started(
    command: Callable[..., tuple[int, str, str]], run: Path
) -> None:
    """The run may be going on: its Flower processes live in its folder."""
    (run / "flower").mkdir()
    code, _, errors = command("train", "--run", "begun")
    assert code == 2
    assert errors == f"pps-qmix: {run} holds a run: choose another name (run), or continue it with --resume begun\n"
    assert (run / "flower").exists()


def test_a_resumed_run_is_not_another_one(command: Callable[..., tuple[int, str, str]], run: Path) -> None:
    for flag, other in (("run", "other"), ("runs", "elsewhere")):
        code, _, errors = command("train", "--resume", str(run), f"--{flag}", other)
        assert code == 2
        assert errors == f"pps-qmix: {flag}: --resume names the run {run}; omit --{flag} {other}\n"
    for same in (("--run", "begun"), ("--runs", str(run.parent))):
        _, _, errors = command("train", "--resume", str(run), *same, "--gamma", "0.5")
        assert errors == "pps-qmix: gamma: the run began with 0.99, a resumed run cannot change it\n"


def test_a_resumed_run_cannot_change_what_it_is(command: Callable[..., tuple[int, str, str]], run: Path) -> None:
    for where in (str(run), "begun"):
        code, _, errors = command("train", "--resume", where, "--gamma", "0.5", "--total-steps", "9")
        assert code == 2
        assert errors == "pps-qmix: gamma: the run began with 0.99, a resumed run cannot change it\n"
    code, _, errors = command("train", "--resume", "begun", "--centralised", "true")  # and not what that brings with it
    assert code == 2
    assert errors == "pps-qmix: centralised: the run began with False, a resumed run cannot change it\n"


def test_a_resumed_run_is_that_of_its_folder_however_it_is_named(
    command: Callable[..., tuple[int, str, str]], run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(run)
    monkeypatch.chdir(run / "checkpoints")
    for where in ("..", "../../begun/", "../.", str(tmp_path / "link")):
        _, _, errors = command("train", "--resume", where, "--run", "other")
        assert errors == f"pps-qmix: run: --resume names the run {run}; omit --run other\n"
        _, _, errors = command("train", "--resume", where, "--run", "begun", "--gamma", "0.5")
        assert errors == "pps-qmix: gamma: the run began with 0.99, a resumed run cannot change it\n"


@pytest.mark.parametrize("name", ["old [run] copy", "x" * 101, "_x", "é"])
def test_a_folder_that_no_run_can_be_called_by_is_to_be_renamed(
    command: Callable[..., tuple[int, str, str]], run: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    copy = run.rename(run.with_name(name))
    monkeypatch.chdir(copy)
    code, _, errors = command("train", "--resume", ".", "--total-steps", "9")
    assert code == 2
    said = f"resume: a run has the name of its folder: expected up to 100 letters, digits and ._-, found {name!r}"
    assert errors == f"pps-qmix: {said}; rename {copy}\n"


def test_a_home_that_no_device_can_use_is_told_before_anything_is_started(
    command: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    homes = {
        "file": "File exists",
        "x" * 256: "File name too long",
        "/".join(["x" * 200] * 25): "File name too long",
    }
    for home, why in homes.items():
        monkeypatch.setenv("PPS_HOME", home)
        code, output, errors = command("train", "--run", "mine")
        assert (code, output) == (1, "")
        assert errors == (f"pps-qmix: cannot make PPS_HOME {tmp_path / home}: {why}; name another folder in PPS_HOME\n")
    assert not (tmp_path / "runs").exists()


def test_a_path_that_is_not_text_is_refused_in_one_line(command: Callable[..., tuple[int, str, str]]) -> None:
    """Settings are sent and kept as text."""
    code, _, errors = command("train", "--runs", os.fsdecode(b"\xff"))
    assert code == 2
    assert errors.startswith("pps-qmix: runs: ")
    assert errors.count("\n") == 1


@given(text=names(NOT_UTF8))
def test_a_wrong_word_is_told_in_one_line(text: str) -> None:
    said = io.StringIO()
    with pytest.raises(SystemExit) as end, contextlib.redirect_stderr(said):
        main(["maps", "word", text])
    assert end.value.code == 2
    assert len(said.getvalue().splitlines()) == 1
    assert said.getvalue().startswith("pps-qmix")
    assert shown(text) in said.getvalue() or text.startswith("-")


def test_what_standard_output_has_no_sign_for_is_shown_as_its_escape(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(Path(cli.main.__file__).parents[1])}
    command = [sys.executable, "-m", "cli.main", "status", "--runs", "é😀"]
    found = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path, env=environment)
    assert found.stdout.startswith("no run in \\xe9\\U0001f600\n")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RoundsError("3 times no device"), 1),
        (DeviceError("cannot save"), 1),
        (NotKeptError("cannot write"), 1),
        (pps_qmix.runtime.processes.PartFailedError("the SuperLink ended"), 1),
        (OSError(98, "Address already in use"), 2),
        (KeyboardInterrupt(), 130),
    ],
)
def test_what_fails_later_has_its_exit_code_and_line(
    command: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    code: int,
) -> None:
    def fail(_: argparse.Namespace) -> int:
        raise error

    monkeypatch.setattr(cli.train, "run", fail)
    found, _, errors = command("train")
    assert found == code
    assert errors.startswith("pps-qmix: ")
    assert (str(error) or "interrupted") in errors
    assert errors.count("\n") == 1


def test_an_address_in_use_is_told(command: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    (port,) = pps_qmix.runtime.processes.free_ports(1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        code, _, errors = command("envproxy", "--listen", f"127.0.0.1:{port}", "--tokens", str(tmp_path / "t"))
    assert code == 2
    assert f"cannot listen on 127.0.0.1:{port}: another program uses this port; end it, or" in errors


# --- what there is --------------------------------------------------------------------------------------------


def test_the_version(command: Callable[..., tuple[int, str, str]]) -> None:
    assert command("--version") == (0, f"{version('pps-qmix')}\n", "")


def test_the_strategies_say_what_they_do(command: Callable[..., tuple[int, str, str]]) -> None:
    code, output, errors = command("strategies")
    assert (code, errors) == (0, "")
    lines = [line.split(maxsplit=1) for line in output.splitlines()[1:]]
    assert {name for name, _ in lines} >= {"a-pps", "rs-pps", "pp-pps", "none"}
    assert all(len(said) > 20 for _, said in lines)
    assert "w_g" not in output


def test_the_maps_have_their_sizes(command: Callable[..., tuple[int, str, str]]) -> None:
    code, output, errors = command("maps")
    assert (code, errors) == (0, "")
    lines = output.splitlines()
    assert max(map(len, lines)) <= 80
    found = {line.split()[0]: number for number, line in enumerate(lines) if " skirmish" in line}
    assert list(found) == map_names("skirmish")
    sizes, sides = lines[found["3m"]].split(), lines[found["3m"] + 1]
    assert sizes == ["3m", "-", "3", "9", "30", "48", "60", "skirmish,", "smac"]
    assert sides.strip() == "3 Marines against 3 Marines"
    assert " super hard " in lines[found["corridor"]]
    assert lines[found["corridor"] + 1].strip() == "6 Zealots against 24 Zerglings"
    assert lines[found["2s_vs_1sc"] + 1].strip() == "2 Stalkers against 1 Spine Crawler"
    assert lines[found["terran_5_vs_5"] + 1].strip() == (
        "5 against 5, drawn: 45 % Marines, 45 % Marauders, 10 % Medivacs"
    )


def test_help_tells_every_setting_with_its_default(command: Callable[..., tuple[int, str, str]]) -> None:
    code, output, _ = command("train", "--help-all")
    assert code == 0
    words = " ".join(output.split())
    for name, setting in descriptions().items():
        assert f"--{name} " in words
        if name != "resume":
            assert f"(default: {setting.default})" in words


def test_help_tells_the_common_settings_alone(command: Callable[..., tuple[int, str, str]]) -> None:
    code, output, _ = command("submit", "--help")
    assert code == 0
    assert "--help-all" in output
    for name, setting in descriptions().items():
        assert (f"--{name} " in output) == (setting.group == "common"), name


# --- settings -------------------------------------------------------------------------------------------------


def wanted(*arguments: str) -> Settings:
    """The settings that these flags of `train` make."""
    options = build_parser().parse_args(["train", *arguments])
    return check_settings({**default_config(), **named(options)})


@pytest.mark.parametrize("name", [name for name in default_config() if name not in ("resume", "strategy-settings")])
def test_every_setting_is_a_flag(name: str) -> None:
    other: dict[str, Any] = {
        "run": "named", "runs": "elsewhere", "map": "8m", "strategy": "none", "base": "qmix", "mixing": "solo",
        "reward-credit": "team", "reward-weighting": "softmax", "backend": "smac", "arena": "other",
        "personal-layers": 2, "batch-size": 90, "adopt": 0.5, "gamma": 0.25,
        "epsilon-start": 0.5, "epsilon-end": 0.25, "train-per-battle": 0.5,
        "rules": "obs-last-action=true", "centralised": True, "device": "auto",
        "max-weight": 0.5, "td-lambda": 0.5, "learning-rate-decay": 0.5, "attest-key": "attest.key",
        "share-among": "seat", "quorum": 0.5,
        "backend-options": "memory=8000", "server-optimizer": "fedadam", "server-momentum": 0.5,
    }  # fmt: skip
    with_it = {"strategy": "none", "mixing": "joint"} if name == "centralised" else {}
    default = default_config()[name]
    value = other[name] if name in other else default * 2 + 1  # type: ignore[operator]
    changed = wanted(f"--{name}", str(value)).config()
    assert changed == {**default_config(), name: value, **with_it}
    assert type(changed[name]) is type(default)


def test_rules_are_kept_in_one_form() -> None:
    assert wanted("--rules", "reward_win = 100,obs_last_action=TRUE").rules == "obs-last-action=true, reward-win=100"


def test_flags_win_over_presets_and_presets_over_defaults() -> None:
    assert "quick" in preset_names()
    quick = preset("quick")
    assert wanted("--preset", "quick").config() == {**default_config(), **quick}
    assert quick["batch-size"] != 7
    for arguments in (("--preset", "quick", "--batch-size", "7"), ("--batch-size", "7", "--preset", "quick")):
        assert wanted(*arguments).config() == {**default_config(), **quick, "batch-size": 7}
    with pytest.raises(PresetError, match="unknown preset 'slow'; expected one of quick"):
        preset("slow")


def test_presets_change_settings_that_exist_to_valid_ones() -> None:
    for name in preset_names():
        assert preset(name).keys() <= default_config().keys()
        check_settings({**default_config(), **preset(name)})


@given(st.integers())
def test_whole_numbers_are_read_back(value: int) -> None:
    found = parse_value(str(value), 3)
    assert (found, type(found)) == (value, int)
    assert parse_value(f"{value:_}", 3) == value


@given(st.floats(allow_nan=False))
def test_numbers_are_read_back(value: float) -> None:
    found = parse_value(repr(value), 0.5)
    assert (found, type(found)) == (value, float)


@given(st.integers(-(2**53), 2**53))
def test_a_whole_number_does_for_a_number(value: int) -> None:
    found = parse_value(str(value), 0.5)
    assert (found, type(found)) == (float(value), float)


@given(st.text())
def test_texts_stay_as_they_are(text: str) -> None:
    assert parse_value(text, "3m") == text


@given(st.sampled_from(["true", "false"]), st.randoms(use_true_random=False))
def test_yes_and_no_in_any_case(word: str, random: Any) -> None:
    text = "".join(random.choice([letter.upper(), letter]) for letter in word)
    assert parse_value(text, False) is (word == "true")


@given(st.text(), st.sampled_from([True, 3, 0.5]))
def test_invalid_values_are_named(text: str, default: float) -> None:
    try:
        assert type(parse_value(text, default)) is type(default)
    except ValueError as error:
        said = str(error)
        assert re.fullmatch(r"expected (true or false|a whole number|a number), found .*", said)
        assert said.endswith(repr(text))


# --- parts ----------------------------------------------------------------------------------------------------


def test_processes_that_left_the_group_are_ended_and_no_others(tmp_path: Path) -> None:
    def start(home: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "FLWR_HOME": str(tmp_path / home)}
        return subprocess.Popen(["sleep", "600"], env=environment, start_new_session=True)

    agent, serverapp, others = start("run/flower/seat-0"), start("run/flower/superlink"), start("run-2/flower/seat-0")
    pps_qmix.runtime.processes.end_detached(tmp_path / "run" / "flower")
    assert agent.poll() is not None
    assert serverapp.poll() is not None
    assert others.poll() is None
    others.kill()
    others.wait()


def test_a_part_that_ends_is_told_with_its_last_words(tmp_path: Path) -> None:
    part = pps_qmix.runtime.processes.Part(
        "the thing", ["sh", "-c", "printf 'one\\n\\n\\033[91mtwo\\033[0m\\n' >&2; exit 3"], tmp_path / "thing.log"
    )
    (port,) = pps_qmix.runtime.processes.free_ports(1)
    with pytest.raises(pps_qmix.runtime.processes.PartFailedError) as failed:
        pps_qmix.runtime.processes.wait_until_listening(part, port, limit=WAIT_LIMIT)
    said = str(failed.value)
    assert said == f"the thing ended (exit code 3). Its last words are in {tmp_path / 'thing.log'}:\n  one\n  two"
    part.end()  # again does no harm


def test_ending_a_part_ends_what_it_has_started(tmp_path: Path) -> None:
    part = pps_qmix.runtime.processes.Part("a shell", ["sh", "-c", "sleep 600 & echo $!; wait"], tmp_path / "shell.log")
    while not (said := (tmp_path / "shell.log").read_text()).endswith("\n"):
        assert part.running
    child = psutil.Process(int(said))
    part.end()
    assert not part.running
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        pass  # it is being killed
