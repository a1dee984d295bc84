"""Microbatches hold every pair of an update once, and their losses add up to its mean."""

import torch
from stepdpo_torch.data import Updates, collate, pairs_of, share

GROUP = {
    "prompt": [1, 2, 3],
    "members": [{"ids": [4, 5]}, {"ids": [6], "weights": {"chosen": [0.5], "rejected": [2.0]}}],
    "pairs": [[0, 1, 3]],
}


def test_sides_are_padded_on_the_right_and_scored_behind_the_prompt():
    batch = collate(pairs_of([GROUP]), 0.25)
    assert batch["input_ids"].tolist() == [[1, 2, 3, 4, 5], [1, 2, 3, 6, 0]]
    assert batch["attention_mask"].tolist() == [[1] * 5, [1, 1, 1, 1, 0]]
    assert batch["scored"].tolist() == [[0, 0, 0, 1, 1], [0, 0, 0, 1, 0]]
    assert batch["token_weights"].tolist() == [[0, 0, 0, 1, 1], [0, 0, 0, 2, 0]]
    assert batch["pair_weights"].tolist() == [3]


def test_shares_are_all_pairs_once_and_an_empty_one_counts_nothing():
    pairs = [(GROUP, 0, 1, weight) for weight in (1, 2, 4)]
    for parts in (1, 2, 3, 5):
        shared = [share(pairs, part, parts) for part in range(parts)]
        assert all(shared)
        assert sorted(pair[3] for own in shared for pair in own if pair[3] > 0) == [1, 2, 4]


def test_scaled_sums_of_all_processes_average_to_the_mean_over_pairs():
    groups = [{**GROUP, "pairs": [[0, 1, weight]]} for weight in (1, 1, 2, 3, 5)]
    losses = {1: 0.5, 2: 0.25, 3: 4.0, 5: 1.5}
    updates = Updates.__new__(Updates)
    updates.groups, updates.order = groups, [[4, 0, 3, 2, 1]]
    for processes, accumulation in ((1, 1), (2, 2), (4, 2)):
        updates.parts = processes * accumulation
        total = 0.0
        for item in range(updates.parts):
            batch = updates.collate([{"item": item}])
            own = torch.tensor([losses.get(int(weight), 0.0) for weight in batch["pair_weights"]])
            total += float((own * batch["pair_weights"]).sum() * batch["scale"]) / updates.parts
        expected = sum(losses[w] * w for w in (1, 1, 2, 3, 5)) / 12
        assert abs(total - expected) < 1e-6
