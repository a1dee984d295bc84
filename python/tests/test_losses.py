"""The losses of pairs are TRL's, as its own lines computed them (test/fixtures/losses/golden.json)."""

import json

import pytest
import torch
from conftest import ROOT
from stepdpo_torch.losses import LOSSES, Pairs

golden = json.loads((ROOT / "test" / "fixtures" / "losses" / "golden.json").read_text())
cases = [case for case in golden["cases"] if case["f_divergence"] == "reverse_kl" and case["loss_type"] in LOSSES]


def test_every_loss_has_a_case():
    assert {case["loss_type"] for case in cases} == set(LOSSES)


@pytest.mark.parametrize("case", cases, ids=lambda case: f"{case['loss_type']} {case['beta']} {case['label_smoothing']}")
def test_the_loss_of_each_pair(case: dict):
    given = {name: torch.tensor(values, dtype=torch.float64) for name, values in golden["inputs"].items()}
    pairs = Pairs(
        given["policy_chosen"] - given["ref_chosen"], given["policy_rejected"] - given["ref_rejected"],
        given["len_chosen"], given["len_rejected"], case["beta"], case["label_smoothing"], case["discopop_tau"],
    )  # fmt: skip
    expected = torch.tensor(case["per_sequence"], dtype=torch.float64)
    assert torch.allclose(LOSSES[case["loss_type"]](pairs), expected, rtol=1e-6, atol=1e-7)
