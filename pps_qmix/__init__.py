"""Federated multi-agent Q-learning: PPS-QMIX on Flower, with SMAC battles.

```python
import pps_qmix

run = pps_qmix.train(map="3m", strategy="rs-pps", preset="quick", runtime="in-process", on_evaluation=print)
run.evaluate(battles=1000)
```
"""

from pps_qmix.surroundings import check_modules

check_modules()  # before they are imported

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from envproxy.parallel_env import parallel_env
    from pps_qmix.experiment.experiment import Experiment
    from pps_qmix.run import Evaluation, Run, load_run, train

__all__ = ["Evaluation", "Experiment", "Run", "load_run", "parallel_env", "train"]

_MODULES = {"Experiment": "pps_qmix.experiment.experiment", "parallel_env": "envproxy.parallel_env"}


def __getattr__(name: str) -> Any:  # a module of this package that needs none of these loads in milliseconds
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    return getattr(import_module(_MODULES.get(name, "pps_qmix.run")), name)


def __dir__() -> list[str]:
    return sorted(__all__)
