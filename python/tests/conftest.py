"""What the tests share: the built command, tiny models of the oracle, and rows of token ids."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "test" / "fixtures" / "oracle" / "models"
UPDATES = 10


class Command:
    """`stepdpo` in a folder, with this interpreter as the one of the torch engine."""

    def __init__(self, folder: Path):
        self.folder = folder

    def start(self, *words: str) -> subprocess.Popen:
        environment = {**os.environ, "STEPDPO_PYTHON": sys.executable, "STEPDPO_CACHE": str(self.folder / "cache")}
        command = ["node", str(ROOT / "bin" / "stepdpo.js"), *words]
        return subprocess.Popen(
            command, cwd=self.folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def run(self, *words: str) -> str:
        process = self.start(*words)
        said, _ = process.communicate(timeout=600)
        assert process.returncode == 0, said
        return said

    def train(self, name: str, *more: str) -> "Run":
        self.run(*self.words(name), *more)
        return Run(self.folder / name)

    def words(self, name: str, model: str = "llama") -> list[str]:
        return [
            "train", "--base_model", str(MODELS / model), "--dataset_path", "pairs.jsonl", "--output_dir", name,
            "--max_steps", str(UPDATES), "--per_device_train_batch_size", "3", "--gradient_accumulation_steps", "2",
            "--learning_rate", "5e-3", "--lora_r", "4", "--save_steps", "4", "--eval_strategy", "steps",
            "--eval_steps", "5", "--eval_split", "0.2", "--threads", "1", "--report_to", "none",
        ]  # fmt: skip

    def kill_after(self, update: int, *words: str, how: int = signal.SIGKILL) -> int:
        """Ends a run by a signal when it has told of an update."""
        process = self.start(*words)
        for line in process.stdout:
            if line.startswith(f"step={update}/"):
                process.send_signal(how)
                break
        process.stdout.read()
        return process.wait(timeout=600)


class Run:
    def __init__(self, folder: Path):
        self.folder = folder

    def metrics(self, kind: str, name: str) -> dict[int, float]:
        lines = (self.folder / "stepdpo" / "metrics.jsonl").read_text().splitlines()
        found = [entry for entry in map(json.loads, lines) if entry["kind"] == kind]
        assert len({entry["update"] for entry in found}) == len(found)
        return {entry["update"]: entry[name] for entry in found}

    def held_out(self, update: int) -> list[dict]:
        """What an evaluation found of each problem."""
        path = self.folder / "stepdpo" / "held-out" / f"update-{update}.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]

    def losses(self) -> dict[int, float]:
        return self.metrics("train", "loss")


def rows(count: int, seed: int) -> list[dict]:
    """Preference rows as token ids, some with weights, with prompts and sides of many lengths."""
    draw = random.Random(seed)
    ids = lambda least, most: [draw.randrange(3, 250) for _ in range(draw.randint(least, most))]
    made = []
    for at in range(count):
        row = {"prompt_ids": [1, *ids(3, 14)], "chosen_ids": ids(2, 12), "rejected_ids": ids(2, 12)}
        if at % 3 == 0:
            row["chosen_weights"] = [draw.choice([0.5, 1.0, 2.0]) for _ in row["chosen_ids"]]
        if at % 4 == 0:
            row["chosen_ids"], row["chosen_terminal"] = [*row["chosen_ids"], 2], True
            if "chosen_weights" in row:
                row["chosen_weights"].append(1.0)
        made.append(row)
    return made


@pytest.fixture(scope="session")
def command(tmp_path_factory) -> Command:
    folder = tmp_path_factory.mktemp("stepdpo")
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(50, 1)))
    return Command(folder)


@pytest.fixture(scope="session")
def node(command: Command) -> Run:
    return command.train("node")
