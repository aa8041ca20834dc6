"""What is reported of a training step."""

from dataclasses import dataclass

from torch import Tensor

from learning import td


@dataclass(frozen=True)
class TrainMetrics:
    """One training step: loss, mean Q_tot of the actions taken, mean |TD error|, gradient norm unclipped."""

    loss: float
    q_mean: float
    td_error_abs: float
    grad_norm: float


def train_metrics(loss: Tensor, values: Tensor, targets: Tensor, mask: Tensor, grad_norm: float) -> TrainMetrics:
    """Metrics of a step with this loss (scalar); values, targets and mask [T, B] are those it was made of."""
    values = values.detach()
    return TrainMetrics(
        loss=float(loss.detach()),
        q_mean=float(td.masked_mean(values, mask)),
        td_error_abs=float(td.masked_mean((values - targets).abs(), mask)),
        grad_norm=grad_norm,
    )
