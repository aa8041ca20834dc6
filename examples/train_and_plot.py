"""Train a team, evaluate it, and plot its learning curve: `python examples/train_and_plot.py [TOTAL_STEPS]`.

With the preset `quick` and 200,000 steps it takes about a minute on two cores.
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib.figure import Figure

import pps_qmix


def main(total_steps: int) -> None:
    run = pps_qmix.train(
        map="3m",
        strategy="rs-pps",
        preset="quick",
        total_steps=total_steps,
        evaluate_every=max(total_steps // 20, 1),
        runtime="in-process",
        on_evaluation=lambda evaluation: print(f"step {evaluation.steps:,}: win rate {evaluation.win_rate:.2f}"),
    )
    result = run.evaluate(battles=100)
    print(f"{result.won} of {result.battles} battles won after {total_steps:,} steps; the run is in {run.path}")

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot([each.steps for each in run.evaluations], [each.win_rate for each in run.evaluations], marker=".")
    axes.set(xlabel="environment steps", ylabel="test win rate", title=run.name, ylim=(-0.02, 1.02))
    figure.savefig(Path("win-rate.png"), dpi=120)
    print("learning curve: win-rate.png")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
