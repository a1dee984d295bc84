"""Writes what peers/torch_learn.py trains on and starts from: its rows as token ids, in its order, and its fresh adapter."""
import json, os, sys

peers, out = sys.argv[1:3]
__file__ = os.path.join(peers, "torch_learn.py")
# Its first part builds tr and te (prompt, chosen, rejected ids) and m (the model with its adapter); the rest trains.
exec(open(__file__).read().split("def lp(")[0])
for name, rows in (("train", tr), ("test", te)):
    with open(os.path.join(out, name + ".jsonl"), "w") as file:
        for prompt, chosen, rejected in rows:
            file.write(json.dumps(dict(prompt_ids=prompt, chosen_ids=chosen, rejected_ids=rejected)) + "\n")
m.save_pretrained(os.path.join(out, "adapter"))
