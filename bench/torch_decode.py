"""Times transformers' generate for bench/decode.ts: reads a job (JSON file), prints {"seconds": [...], "ids": [[...]]}.

Job: model (folder) or config (of a Llama with random weights), batches (each a list of prompts, lists of ids), tokens,
sample (temperature 1) or greedy, threads.
"""
import json, sys, time

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

job = json.load(open(sys.argv[1]))
torch.set_num_threads(job["threads"])
torch.manual_seed(0)
if job.get("model"):
    model = AutoModelForCausalLM.from_pretrained(job["model"], dtype=torch.float32)
else:
    model = LlamaForCausalLM(LlamaConfig(**job["config"]))
model.eval()
model.generation_config.eos_token_id = None  # every completion gets all its tokens


def generate(prompts, tokens):
    longest = max(map(len, prompts))
    ids = torch.tensor([[0] * (longest - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    choice = dict(do_sample=True, temperature=1.0, top_k=0, top_p=1.0) if job["sample"] else dict(do_sample=False)
    with torch.inference_mode():
        out = model.generate(ids, attention_mask=mask, max_new_tokens=tokens, pad_token_id=0, **choice)
    return out[:, longest:].tolist()


generate(job["batches"][0], 4)
seconds, found = [], []
for batch in job["batches"]:
    started = time.perf_counter()
    found.append(generate(batch, job["tokens"]))
    seconds.append(time.perf_counter() - started)
print(json.dumps(dict(seconds=seconds, ids=found)))
