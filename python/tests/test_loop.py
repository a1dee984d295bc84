"""The whole loop, twice round, trained by either engine: the same pairs, losses and adapter."""

import json
import random

import torch
from conftest import ROOT, Command, Run
from safetensors.torch import load_file


def problems(count: int, seed: int) -> list[dict]:
    """Word problems as the demo's model knows them."""
    draw = random.Random(seed)
    made = []
    for _ in range(count):
        start, more = draw.randint(20, 90), [draw.randint(5, 60) for _ in range(3)]
        moves = "".join(f" She buys {some} more." for some in more)
        prompt = f"Ana has {start} apples.{moves} How many apples does Ana have now?"
        made.append({"prompt": prompt, "answer": str(start + sum(more))})
    return made


def loop(command: Command, engine: str) -> Run:
    command.run(
        "run", "--base_model", str(ROOT / "demo" / "model"), "--dataset_path", "problems.jsonl", "--output_dir",
        f"loop-{engine}", "--engine", engine, "--reward_model", "arithmetic", "--verify", "judge", "--rounds", "2",
        "--num_samples", "4", "--num_resamples", "2", "--temperature", "1", "--max_new_tokens", "80", "--lora_r", "4",
        "--learning_rate", "1e-3", "--num_train_epochs", "2", "--per_device_train_batch_size", "4", "--threads", "1",
        "--yes",
    )  # fmt: skip
    return Run(command.folder / f"loop-{engine}")


def test_two_rounds(command: Command):
    (command.folder / "problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in problems(12, 3)))
    torch_run, node_run = loop(command, "torch"), loop(command, "node")
    for place in ("round-1/policy", "."):
        found, expected = (Run(run.folder / place).losses() for run in (torch_run, node_run))
        assert found.keys() == expected.keys()
        assert max(expected.values()) - min(expected.values()) > 0.02, "nothing was learned, so that equal losses say nothing"
        assert max(abs(found[at] - expected[at]) for at in found) <= 1e-3
        learned, known = (load_file(run.folder / place / "adapter_model.safetensors") for run in (torch_run, node_run))
        assert learned.keys() == known.keys()
        for name in learned:
            torch.testing.assert_close(learned[name], known[name], rtol=1e-2, atol=1e-4)
    for name in ("round-1/pairs.jsonl", "round-2/pairs.jsonl"):
        rows = [[json.loads(line) for line in (run.folder / name).open()] for run in (torch_run, node_run)]
        found, expected = ([row["chosen"] for row in some] for some in rows)
        assert len(found) > 0 and found == expected
