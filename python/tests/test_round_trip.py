"""An adapter that our engine trained says in PEFT what it says in our engine."""

import json

import pytest
import torch
from conftest import MODELS, Command
from peft import PeftModel
from transformers import AutoModelForCausalLM


@pytest.mark.parametrize("model", ["llama", "qwen2", "phi3"])
def test_peft_finds_our_log_probabilities(command: Command, model: str):
    command.run(*command.words(f"adapter-{model}", model))
    data = ["--dataset_path", "pairs.jsonl", "--threads", "1"]
    score = ["score", "--base_model", str(MODELS / model), *data]
    plain = [json.loads(line) for line in command.run(*score).splitlines()]
    lines = [json.loads(line) for line in command.run(*score, "--adapter", f"adapter-{model}").splitlines()]
    base = AutoModelForCausalLM.from_pretrained(MODELS / model, dtype=torch.float32)
    peft = PeftModel.from_pretrained(base, str(command.folder / f"adapter-{model}")).eval()
    rows = [json.loads(line) for line in (command.folder / "pairs.jsonl").read_text().splitlines()]
    worst = largest = moved = 0.0
    for row, line, before in zip(rows, lines, plain, strict=True):
        for side in ("chosen", "rejected"):
            prompt, ids = row["prompt_ids"], row[f"{side}_ids"]
            with torch.no_grad():
                logits = peft(torch.tensor([prompt + ids])).logits[0]
            logps = torch.log_softmax(logits.double(), -1)
            found = [logps[len(prompt) + at - 1, token].item() for at, token in enumerate(ids)]
            ours, ours_before = line[side]["logprobs"], before[side]["logprobs"]
            worst = max([worst, *(abs(a - b) for a, b in zip(found, ours, strict=True))])
            moved = max([moved, *(abs(a - b) for a, b in zip(ours, ours_before, strict=True))])
            largest = max([largest, *map(abs, found)])
    assert moved > 0.01, "the adapter says nothing of its own"
    assert worst <= 5e-5 * largest
