"""The exported groups as microbatches of pairs. Tokens are taken as they are: nothing is added, nothing is cut."""

import json
from pathlib import Path

import torch


def read_lines(path: Path) -> list:
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def pairs_of(groups: list[dict]) -> list[tuple]:
    """(group, chosen, rejected, weight) of each pair."""
    return [(group, *pair) for group in groups for pair in group["pairs"]]


def share(pairs: list[tuple], part: int, parts: int) -> list[tuple]:
    """One of equal parts. An empty one is a pair that counts nothing, so that every process has something to run."""
    own = pairs[len(pairs) * part // parts : len(pairs) * (part + 1) // parts]
    return own or [(*pairs[0][:3], 0)]


def collate(pairs: list[tuple], scale: float) -> dict[str, torch.Tensor]:
    """Chosen sides, then rejected ones [2 pairs, tokens]; `scale` makes a loss of these a part of the update's mean."""
    rows, weights = [], []
    for role, side in (("chosen", 1), ("rejected", 2)):
        for pair in pairs:
            group, member = pair[0], pair[0]["members"][pair[side]]
            own = member["weights"][role] if "weights" in member else [1.0] * len(member["ids"])
            rows.append(group["prompt"] + member["ids"])
            weights.append([0.0] * len(group["prompt"]) + own)
    length = max(len(row) for row in rows)
    pad = [length - len(row) for row in rows]
    prompts = [len(pair[0]["prompt"]) for pair in pairs] * 2
    return {
        "input_ids": torch.tensor([row + [0] * n for row, n in zip(rows, pad)]),
        "attention_mask": torch.tensor([[1] * len(row) + [0] * n for row, n in zip(rows, pad)]),
        "scored": torch.tensor([[0] * p + [1] * (len(row) - p) + [0] * n for row, n, p in zip(rows, pad, prompts)]),
        "token_weights": torch.tensor([row + [0.0] * n for row, n in zip(weights, pad)]),
        "pair_weights": torch.tensor([float(pair[3]) for pair in pairs]),
        "scale": torch.tensor(scale),
    }


class Updates:
    """Item (update · accumulation + microbatch) · processes + rank is what that process computes then."""

    def __init__(self, job: dict, folder: Path, processes: int):
        self.groups = read_lines(folder / "groups.jsonl")
        self.order = read_lines(folder / "order.jsonl")
        self.parts = processes * job["training"]["gradient_accumulation_steps"]

    def __len__(self) -> int:
        return len(self.order) * self.parts

    def collate(self, items: list[dict]) -> dict[str, torch.Tensor]:
        update, part = divmod(items[0]["item"], self.parts)
        pairs = pairs_of([self.groups[at] for at in self.order[update]])
        # The gradients of processes and microbatches are averaged.
        return collate(share(pairs, part, self.parts), self.parts / sum(pair[3] for pair in pairs))
