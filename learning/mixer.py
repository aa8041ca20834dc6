"""QMIX's mixing network (Rashid et al., ICML 2018): a value that grows with every utility it mixes."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import elu


class MonotoneMixer(nn.Module):
    """Q_tot of n utilities, conditioned on what the mixer may see.

    ``Q_tot = |W2(s)| elu(|W1(s)| u + b1(s)) + b2(s)``: W1, W2 and b1 are linear in the condition s, b2 has a
    hidden layer. Absolute weights and an increasing activation make Q_tot monotone in every utility.
    """

    def __init__(
        self,
        n_utilities: int,
        condition_size: int,
        embed: int = 32,
        hypernet_hidden: int = 64,
        *,
        generator: torch.Generator,
    ) -> None:
        """Draw all weights and biases from U(-1/sqrt(fan in), 1/sqrt(fan in)), with ``generator`` alone.

        Biases are drawn too: a dead unit sees zeros, and zero biases would cut its utility off from Q_tot.
        """
        super().__init__()
        self._embed = embed
        with torch.device("meta"):  # the layers' own initialisation would draw from the global generator
            self.hyper_w1 = nn.Linear(condition_size, n_utilities * embed)
            self.hyper_b1 = nn.Linear(condition_size, embed)
            self.hyper_w2 = nn.Linear(condition_size, embed)
            self.hyper_b2 = nn.Sequential(
                nn.Linear(condition_size, hypernet_hidden), nn.ReLU(), nn.Linear(hypernet_hidden, 1)
            )
        self.to_empty(device="cpu")
        for module in self.modules():
            if isinstance(module, nn.Linear):
                bound = 1 / math.sqrt(module.in_features)
                nn.init.uniform_(module.weight, -bound, bound, generator)
                nn.init.uniform_(module.bias, -bound, bound, generator)

    def forward(self, utilities: Tensor, condition: Tensor) -> Tensor:
        """Q_tot [T, B] of utilities [T, B, n], given condition [T, B, c]."""
        w1 = self.hyper_w1(condition).abs().unflatten(-1, (-1, self._embed))
        hidden = elu((utilities.unsqueeze(-1) * w1).sum(-2) + self.hyper_b1(condition))
        q_tot: Tensor = (hidden * self.hyper_w2(condition).abs()).sum(-1) + self.hyper_b2(condition).squeeze(-1)
        return q_tot


def solo_mixer(condition_size: int, *, generator: torch.Generator) -> MonotoneMixer:
    """A mixer of one utility that begins close to ``Q_tot = u``.

    Drawn like others, a mixer begins with values and slopes that are the draw's luck, several times the utility's own
    (docs/solo-qmix.md). Here ``|W1| = |W2| = 1/sqrt(embed)`` and ``b1 = b2 = 0``, but for a tenth of the usual draw of
    the weights that make W1, W2 and b1, so that the embedded units differ.
    """
    mixer = MonotoneMixer(1, condition_size, generator=generator)
    with torch.no_grad():
        for layer in (mixer.hyper_w1, mixer.hyper_w2, mixer.hyper_b1):
            layer.weight.mul_(0.1)
        for layer in (mixer.hyper_w1, mixer.hyper_w2):
            layer.bias.fill_(1 / math.sqrt(layer.out_features))
        mixer.hyper_b1.bias.zero_()
        for parameter in mixer.hyper_b2[-1].parameters():
            parameter.zero_()
    return mixer
