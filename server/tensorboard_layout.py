"""What TensorBoard shows first: the layout of its page "Custom Scalars", the win rate before everything else.

A chart names its tags by regular expressions, so that the layout does not depend on the number of seats.
"""

from __future__ import annotations

from typing import Final

from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.custom_scalar.layout_pb2 import Category, Chart, Layout, MultilineChartContent
from tensorboard.plugins.custom_scalar.metadata import CONFIG_SUMMARY_TAG, create_summary_metadata
from tensorboard.util.tensor_util import make_tensor_proto

# Category -> chart -> the tags it shows. A page shows the categories in this order, the first ones open.
_CHARTS: Final = {
    "Tests: greedy battles of the team": {
        "win rate": "^evaluation/win-rate$",
        "return": "^evaluation/return$",
        "battle length": "^evaluation/length$",
    },
    "Exploring: the battles of a round": {
        "win rate": "^exploring/win-rate$",
        "return": "^exploring/return$",
        "share of random actions": "^exploring/epsilon$",
    },
    "Learning: mean of the agents": {
        "loss": "^mean-of-agents/loss$",
        "TD error": "^mean-of-agents/td-error$",
        "mean predicted value": "^mean-of-agents/q-mean$",
        "gradient norm": "^mean-of-agents/grad-norm$",
    },
    "Sharing": {
        "disagreement of agents": "^sharing/divergence$",
        "agreement of updates": "^sharing/update-cosine$",
        "aggregation weights, by seat": "^sharing/weight/",
    },
    "Learning: each agent, by seat": {
        "loss": "^one-agent/loss/",
        "TD error": "^one-agent/td-error/",
        "mean predicted value": "^one-agent/q-mean/",
        "sum of the reward buffer": "^one-agent/reward-sum/",
    },
    "Seconds of a round": {"whole round": "^seconds/round$", "parts": "^seconds/(?!round$)"},
}
_OPEN: Final = 2  # categories


def layout() -> Layout:
    """Return the layout."""
    categories = [
        Category(
            title=category,
            chart=[Chart(title=title, multiline=MultilineChartContent(tag=[tag])) for title, tag in charts.items()],
            closed=number >= _OPEN,
        )
        for number, (category, charts) in enumerate(_CHARTS.items())
    ]
    return Layout(category=categories)


def layout_summary() -> Summary:
    """Return the layout as TensorBoard reads it. Its own `summary.pb` does the same with TensorFlow."""
    tensor = make_tensor_proto(layout().SerializeToString())
    value = Summary.Value(tag=CONFIG_SUMMARY_TAG, metadata=create_summary_metadata(), tensor=tensor)
    return Summary(value=[value])
