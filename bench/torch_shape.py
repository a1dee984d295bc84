"""Hand-tuned PyTorch on a model of a shape with random weights: one row, logits at the last quarter of it only, LoRA on
all linears by PEFT, activations kept, the best of four passes. Argument: the config.json. Prints as torch_best.py does."""
import json
import sys
import time

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM

torch.set_num_threads(2)
config = AutoConfig.for_model(**json.loads(sys.argv[1]))
model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="sdpa")
model = get_peft_model(model, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"))
base = model.base_model.model
for tokens in (256, 512, 1024):
    scored = tokens // 4
    ids = torch.randint(0, config.vocab_size, (1, tokens))
    best = float("inf")
    for _ in range(4):
        start = time.perf_counter()
        hidden = base.model(input_ids=ids, use_cache=False).last_hidden_state[:, -scored:]
        logps = torch.log_softmax(base.lm_head(hidden), -1).gather(-1, ids[:, -scored:, None])
        logps.sum().backward()
        best = min(best, time.perf_counter() - start)
        model.zero_grad()
    print(f"{tokens} {scored} {best * 1e3:.0f} ms {tokens / best:.1f} tok/s", flush=True)
