"""What a file must be, and the runs it asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from pps_qmix.configuration import default_config, preset
from pps_qmix.experiment.spec import METHOD_SETTINGS, Method, SpecError, parse_experiment
from tests.cli.experiment.small import SMALL

_ROOT = Path(__file__).parents[3]


def problems(text: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        parse_experiment(text)
    return str(caught.value).splitlines()


def test_a_file_asks_for_every_map_method_and_seed_and_the_first_seed_comes_first() -> None:
    experiment = parse_experiment(SMALL)
    assert [run.name for run in experiment.runs] == [
        *("3m-a-pps-vdn-solo-s4", "3m-none-qmix-solo-s4", "2s3z-a-pps-vdn-solo-s4", "2s3z-none-qmix-solo-s4"),
        *("3m-a-pps-vdn-solo-s2", "3m-none-qmix-solo-s2", "2s3z-a-pps-vdn-solo-s2", "2s3z-none-qmix-solo-s2"),
    ]
    assert experiment.methods == (Method("A", "a-pps", "vdn", "solo"), Method("none", "none", "qmix", "solo"))
    for run in experiment.runs:
        settings = run.settings
        assert (settings.map, *(settings.config()[name] for name in METHOD_SETTINGS)) == (run.map, *run.method[1:])
        assert settings.seed == run.seed
        assert settings.run == run.name


def test_a_map_s_settings_go_over_the_common_ones_the_preset_s_and_the_defaults() -> None:
    runs = {(run.map, run.seed): run.settings.config() for run in parse_experiment(SMALL).runs}
    easy, hard = runs["3m", 4], runs["2s3z", 4]
    assert hard["epsilon-steps"] == 70000
    assert easy["epsilon-steps"] == preset("quick")["epsilon-steps"]
    assert easy["batch-size"] == hard["batch-size"] == 16 != preset("quick")["batch-size"]
    assert easy["battles"] == preset("quick")["battles"]
    assert easy["hidden"] == default_config()["hidden"]


def test_the_methods_of_a_map_differ_in_nothing_else() -> None:
    for map_ in ("3m", "2s3z"):
        configs = [run.settings.config() for run in parse_experiment(SMALL).runs if run.map == map_]
        differing = {name for name in configs[0] if len({config[name] for config in configs}) > 1}
        assert differing == {"strategy", "base", "seed", "run"}


def test_a_centralised_method_is_mixed_jointly_without_a_word_and_named_apart() -> None:
    experiment = parse_experiment(SMALL.replace('mixing = "solo"', "centralised = true"))
    (run,) = [each for each in experiment.runs if each.method.name == "none" and (each.map, each.seed) == ("3m", 4)]
    assert run.method == Method("none", "none", "qmix", "joint", True)
    assert run.name == "3m-centralised-qmix-joint-s4"
    assert run.settings.centralised


def test_a_method_is_named_with_the_settings_of_its_strategy_and_the_server_optimizer() -> None:
    methods = """
[[methods]]
name = "two"
strategy = "multi-krum"
base = "vdn"
strategy-settings = "select=2"

[[methods]]
name = "all"
strategy = "multi-krum"
base = "vdn"
server-optimizer = "fedavgm"
"""
    runs = {run.method.name: run for run in parse_experiment(SMALL + methods).runs if (run.map, run.seed) == ("3m", 4)}
    assert runs["two"].name == "3m-multi-krum-select-2-vdn-solo-s4"
    assert runs["all"].name == "3m-multi-krum-select-0-fedavgm-vdn-solo-s4"
    assert runs["two"].settings.strategy_settings == "select=2"
    assert runs["all"].settings.server_optimizer == "fedavgm"


def test_methods_that_differ_in_their_overlap_are_two() -> None:
    methods = """
[[methods]]
name = "delayed"
strategy = "a-pps"
base = "vdn"
overlap = 200
"""
    runs = {run.method.name: run for run in parse_experiment(SMALL + methods).runs if (run.map, run.seed) == ("3m", 4)}
    assert runs["delayed"].name == "3m-a-pps-overlap-200-vdn-solo-s4"
    assert runs["delayed"].settings.overlap == 200
    with pytest.raises(SpecError, match=r"^methods #\d+\.overlap: expected at most aggregation-every \(300\), "):
        parse_experiment(SMALL + methods.replace("200", "301"))


def test_rules_are_kept_in_one_form() -> None:
    (text,) = {
        run.settings.rules
        for run in parse_experiment(SMALL.replace("batch-size = 16", 'rules = "step_mul=4 obs_last_action=TRUE"')).runs
    }
    assert text == "step-mul=4, obs-last-action=true"


@pytest.mark.parametrize("name", ["quick", "long", "hard", "ten", "table2", "solo-qmix", "overlap", "teams"])
def test_what_is_shipped_is_right(name: str) -> None:
    experiment = parse_experiment((_ROOT / "experiments" / f"{name}.toml").read_text())
    assert experiment.name == name
    runs = {"quick": 2 * 4 * 3, "long": 2 * 6 * 3, "hard": 3 * 4 * 3, "table2": 5 * 8 * 5, "solo-qmix": 2 * 3, "ten": 4}
    runs["overlap"] = 4 * 3
    runs["teams"] = 2 * 6 * 3
    assert len(experiment.runs) == runs[name]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("seeds = [4, 2]", "", "seeds: missing"),
        ("seeds = [4, 2]", "seeds = []", "seeds: list should have at least 1 item after validation, not 0, found []"),
        ("seeds = [4, 2]", "seeds = [4, 2.5]", "seeds #2: input should be a valid integer, found 2.5"),
        ("seeds = [4, 2]", "seeds = [4, -1]", "seeds #2: input should be greater than or equal to 0, found -1"),
        ("seeds = [4, 2]", "seeds = [2, 4, 2]", "seeds: 2 is given twice"),
        ('maps = ["3m", "2s3z"]', 'maps = "3m"', "maps: input should be a valid list, found '3m'"),
        ('"3m", "2s3z"', '"3m", "2s3z", "3m"', "maps: '3m' is given twice"),
        ('"3m", ', '"3mm", ', "maps: the backend 'skirmish' has no '3mm'; it has "),
        ('name = "small"', 'name = "a/b"', "name: string should match pattern "),
        ('name = "small"', 'name = "small"\njobs = 3', "jobs: an experiment has no such key; it has name, seeds, maps"),
        ('"quick"', '"quik"', "preset: unknown preset 'quik'; expected one of quick. Did you mean \"quick\"?"),
        ("batch-size", "batch-sise", 'settings.batch-sise: unknown setting. Did you mean "batch-size"?'),
        ("batch-size = 16", 'batch-size = "16"', "settings.batch-size: input should be a valid integer, found '16'"),
        ("batch-size = 16", "batch-size = 0", "settings.batch-size: input should be greater than 0, found 0"),
        ("batch-size = 16", 'attest-key = "/k"', "settings.attest-key: expected none with --runtime in-process: "),
        ("batch-size = 16", "train-per-battle = 1e-5", "settings.aggregation-every: 300 training steps at "),
        ("batch-size = 16", 'backend = "smack"', "settings.backend: unknown backend 'smack'; "),
        ("batch-size = 16", 'rules = "fog=true"', "settings.rules: there is no 'fog'; there are "),
        ("batch-size = 16", "seed = 3", "settings.seed: comes from seeds, remove it here"),
        ("batch-size = 16", 'strategy = "none"', "settings.strategy: comes from [[methods]], remove it here"),
        ("epsilon-steps", "run", "map-settings.2s3z.run: comes from the experiment itself, remove it here"),
        ("epsilon-steps = 70000", "gamma = 7", "map-settings.2s3z.gamma: input should be less than or equal to 1"),
        ("epsilon-steps = 70000", "batch-size = 2000", "settings.buffer-size: expected at least batch-size (2000)"),
        ("map-settings.2s3z", "map-settings.8m", "map-settings.8m: '8m' is not among maps"),
        ('strategy = "a-pps"', 'strategy = "a-pp"', 'methods #1.strategy: unknown strategy "a-pp"; '),
        ('strategy = "a-pps"', "", "methods #1.strategy: missing"),
        ('base = "qmix"', 'base = "qmx"', "methods #2.base: input should be 'vdn' or 'qmix', found 'qmx'"),
        ('base = "qmix"', "base = 1", "methods #2.base: input should be a valid string, found 1"),
        ('mixing = "solo"', 'mixing = "duet"', "methods #2.mixing: input should be "),
        ('mixing = "solo"', 'centralised = "yes"', "methods #2.centralised: input should be a valid boolean, found"),
        (
            'mixing = "solo"',
            'mixing = "solo"\ncentralised = true',
            "methods #2.centralised: expected strategy 'none' and mixing 'joint', found 'none' and 'solo': ",
        ),
        ('name = "none"', 'name = "A"', "methods: two are called 'A'"),
        ('name = "none"', 'name = "_"', "methods #2.name: string should match pattern "),
        (
            'strategy = "none"\nbase = "qmix"',
            'strategy = "a-pps"\nbase = "vdn"',
            "methods: two are the same: a-pps, vdn, solo, False, , , 0, 1, all (strategy, base, mixing, centralised, ",
        ),
        (
            'mixing = "solo"',
            "learning-rate = 1e-3",
            "methods #2.learning-rate: a method has only name, strategy, base, mixing, centralised, ",
        ),
        ("seeds = [4, 2]", "seeds = [4, 2", "invalid TOML: "),
        (
            'mixing = "solo"',
            'strategy-settings = "momentum=0.9"',
            "methods #2.strategy-settings: unknown setting 'momentum'; the strategy has none",
        ),
        (
            'mixing = "solo"',
            'server-optimizer = "adam"',
            "methods #2.server-optimizer: input should be '', 'fedadam', ",
        ),
    ],
)
def test_a_problem_has_one_line(old: str, new: str, said: str) -> None:
    assert old in SMALL
    (line,) = problems(SMALL.replace(old, new))
    assert line.startswith(said), line


def test_every_problem_has_its_line() -> None:
    text = SMALL.replace("batch-size = 16", "batch-size = 0\nseed = 3\nhiden = 8").replace('"a-pps"', '"a-pp"')
    assert sorted(line.partition(":")[0] for line in problems(text)) == [
        *("methods #1.strategy", "settings.batch-size", "settings.hiden", "settings.seed")
    ]
