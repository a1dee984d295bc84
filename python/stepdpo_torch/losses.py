"""Losses of pairs under TRL's names, each pair by itself: TRL takes the mean at once and knows no weights of pairs.

Formulas are those of TRL's DPOTrainer 1.16 and of src/train/*-loss.ts, which says where each comes from.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F


@dataclass
class Pairs:
    """Log ratios of policy to reference [pairs], the tokens they are sums of [pairs], and the settings."""

    chosen: torch.Tensor
    rejected: torch.Tensor
    chosen_tokens: torch.Tensor
    rejected_tokens: torch.Tensor
    beta: float
    smoothing: float
    tau: float

    @property
    def margin(self) -> torch.Tensor:
        return self.beta * (self.chosen - self.rejected)

    @property
    def token_margin(self) -> torch.Tensor:
        return self.chosen / self.chosen_tokens - self.rejected / self.rejected_tokens

    @property
    def rewards(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self.beta * self.chosen, self.beta * self.rejected


def log_sigmoid(z: torch.Tensor) -> torch.Tensor:
    return F.logsigmoid(z)


def sigmoid(p: Pairs) -> torch.Tensor:
    return -(1 - p.smoothing) * log_sigmoid(p.margin) - p.smoothing * log_sigmoid(-p.margin)


def robust(p: Pairs) -> torch.Tensor:
    e = p.smoothing
    return (e * log_sigmoid(-p.margin) - (1 - e) * log_sigmoid(p.margin)) / (1 - 2 * e)


def exo_pair(p: Pairs) -> torch.Tensor:
    e = torch.tensor(p.smoothing, dtype=torch.float64)
    z = p.margin
    chosen = log_sigmoid(z) - torch.log1p(-e).item()
    rejected = log_sigmoid(-z) - torch.log(e).item()
    return torch.sigmoid(z) * chosen + torch.sigmoid(-z) * rejected


def nca_pair(p: Pairs) -> torch.Tensor:
    chosen, rejected = p.rewards
    return -log_sigmoid(chosen) - 0.5 * log_sigmoid(-chosen) - 0.5 * log_sigmoid(-rejected)


def bco_pair(p: Pairs) -> torch.Tensor:
    chosen, rejected = p.rewards
    return -log_sigmoid(chosen) - log_sigmoid(-rejected)


def sppo_hard(p: Pairs) -> torch.Tensor:
    return (p.chosen - 0.5 / p.beta) ** 2 + (p.rejected + 0.5 / p.beta) ** 2


def apo_zero(p: Pairs) -> torch.Tensor:
    chosen, rejected = p.rewards
    return torch.sigmoid(-chosen) + torch.sigmoid(rejected)


def apo_down(p: Pairs) -> torch.Tensor:
    chosen, rejected = p.rewards
    return torch.sigmoid(chosen) + torch.sigmoid(rejected - chosen)


def discopop(p: Pairs) -> torch.Tensor:
    scaled = p.margin / p.tau
    return torch.exp(log_sigmoid(scaled) - p.margin) - torch.sigmoid(-scaled) * log_sigmoid(p.margin)


LOSSES = {
    "sigmoid": sigmoid,
    "hinge": lambda p: torch.relu(1 - p.margin),
    "ipo": lambda p: (p.token_margin - 1 / (2 * p.beta)) ** 2,
    "robust": robust,
    "exo_pair": exo_pair,
    "nca_pair": nca_pair,
    "bco_pair": bco_pair,
    "sppo_hard": sppo_hard,
    "apo_zero": apo_zero,
    "apo_down": apo_down,
    "discopop": discopop,
    "sigmoid_norm": lambda p: -log_sigmoid(p.beta * p.token_margin),
}
