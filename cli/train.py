"""`pps-qmix train`: a whole run on this machine, over Flower or in this process."""

from __future__ import annotations

import argparse
import logging
import time
from pathlib import Path

from rich.console import Console

from cli.cores import cores
from cli.defaults import Value, default_config, kept_settings, merge, parse_value, preset, preset_names, with_implied
from cli.flower import FlowerRun
from cli.progress import ProgressDisplay
from envproxy.backend import create_backend
from envproxy.rules import Rules
from operations import logs
from server.report import result_of
from server.run_directory import already_there, check_unchanged, read_rows, run_name
from server.settings import Settings, SettingsError, check_settings

_NO_FLAG = {"resume"}  # `--resume RUN` names the run instead
_SAID = {"centralised": "true: --base names the algorithm, qmix or vdn, of one network for all agents "}
_NOTHING_IS = {
    "run": "made from settings and time",
    "rules": "SMAC's",
    "attest-key": "none",
}  # what an empty default means


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Every setting is a flag; its default is in [tool.flwr.app.config]."""
    parser.add_argument("--preset", choices=preset_names(), help="settings that go together; a flag overrides them")
    parser.add_argument(
        "--runtime", choices=("flower", "in-process"), help="(default: flower; in-process with --centralised true)"
    )
    parser.add_argument("--resume", metavar="RUN", help="go on with a run: its folder, or its name in --runs")
    logs.add_arguments(parser)
    group = parser.add_argument_group("settings")
    for name, default in default_config().items():
        if name not in _NO_FLAG:
            shown = f"{_SAID.get(name, '')}(default: {_NOTHING_IS[name] if default == '' else repr(default)})"
            group.add_argument(f"--{name}", dest=f"setting:{name}", metavar="VALUE", help=shown.replace("%", "%%"))


def run(options: argparse.Namespace) -> int:
    """Train. Raises SettingsError (and other ValueErrors) for wrong flags, RunDirectoryError, PartFailedError."""
    logs.choose(options.log_format)
    defaults = default_config()
    given = _given(options, defaults)
    if options.resume:
        path = _run_path(options.resume, Path(str(given.get("runs", defaults["runs"]))))
        kept = kept_settings(path)
        check_unchanged(kept, given)
        given |= {"runs": str(path.parent), "run": path.name, "resume": True}
        settings = check_settings({**kept, **given})
    else:
        given["runs"] = str(Path(str(given.get("runs", defaults["runs"]))).expanduser().absolute())
        if given.get("attest-key"):
            given["attest-key"] = str(Path(str(given["attest-key"])).expanduser().absolute())
        settings = check_settings(merge(defaults, given))
        given["run"] = settings.run or run_name(settings)
        settings = settings.model_copy(update={"run": given["run"]})
        path = Path(str(given["runs"])) / str(given["run"])
        if (path / "run.json").exists():  # before anything is started: the run may be going on
            raise already_there(path)
    runtime = options.runtime or ("in-process" if settings.centralised else "flower")
    if settings.centralised and runtime == "flower":
        raise SettingsError("runtime: a centralised run has nothing to federate; expected in-process, found flower")
    if runtime == "in-process":
        if settings.attest_key:
            raise SettingsError("attest-key: expected none with --runtime in-process: there is no env proxy that signs")
        from learning.compute import compute_device  # noqa: PLC0415 - no torch where Flower's processes do the work

        compute_device(settings.device)  # or it would be refused when there is a run directory
    backend = create_backend(settings.backend, settings.map, 1, Rules.parse(settings.rules))
    n_agents = backend.spec.n_agents
    backend.close()
    console = _console(path.name)
    console.print(f"{settings.map}: {n_agents} agents, {settings.method}, {settings.base}; run {path}", soft_wrap=True)
    began = time.monotonic()
    if runtime == "flower":
        _train_over_flower(settings, given, path, n_agents, console)
    else:
        _train_in_process(settings, given, path, console)
    for name, value in result_of(read_rows(path)).items():
        console.print(f"{name}: {value}", highlight=False)
    console.print(f"time: {time.monotonic() - began:.0f} s", highlight=False)
    console.print(f"learning curve: {path / 'curve.png'}", highlight=False, soft_wrap=True)
    return 0


def _given(options: argparse.Namespace, defaults: dict[str, Value]) -> dict[str, Value]:
    """Return what the user named: the preset's settings, and the flags over them. Raises SettingsError."""
    given = preset(options.preset) if options.preset else {}
    for key, text in vars(options).items():
        name = key.removeprefix("setting:")
        if name == key or text is None:
            continue
        try:
            given[name] = parse_value(text, defaults[name])
        except ValueError as error:
            raise SettingsError(f"{name}: {error}") from None
    if "rules" in given:  # in one form, so that a resumed run may name them in another
        given["rules"] = Rules.parse(str(given["rules"])).text()
    return with_implied(given)


def _console(run: str) -> Console:
    """Where the command says what it does: standard output, or its log."""
    if not logs.is_json():
        return Console()
    logs.set_up("train", run=run)
    return Console(file=logs.LoggedLines(logging.getLogger("train")), width=10_000)


def _run_path(resume: str, runs: Path) -> Path:
    found = Path(resume).expanduser()
    return (found if (found / "run.json").exists() else runs.expanduser() / resume).absolute()


def _train_over_flower(
    settings: Settings, given: dict[str, Value], path: Path, n_agents: int, console: Console
) -> None:
    with FlowerRun(settings.config(), given, path, n_agents) as flower:
        with console.status("starting the env proxy, the SuperLink and the SuperNodes"):
            flower.start()
        with ProgressDisplay(path, settings.total_steps, flower.where, console) as display:
            flower.follow(display.tell)


def _train_in_process(settings: Settings, given: dict[str, Value], path: Path, console: Console) -> None:
    from cli.in_process import Team, run_in_process  # noqa: PLC0415 - no torch where Flower's processes do the work

    logging.getLogger("server").addHandler(logging.NullHandler())  # the display tells what the log would
    logging.getLogger("strategies").addHandler(logging.NullHandler())
    team = Team(
        settings.backend,
        settings.map,
        settings.battles,
        settings.arena,
        Rules.parse(settings.rules),
        centralised=settings.centralised,
        threads=settings.threads or cores(),
    )
    try:
        with ProgressDisplay(path, settings.total_steps, lambda: team.progress, console):
            run_in_process(settings.config(), given, team)
    finally:
        team.close()
