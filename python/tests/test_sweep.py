"""A sweep that PyTorch trains: the points, intervals and ranks of our engine. A trial that fails does not end it."""

import json

from conftest import Command


def sweep(command: Command, engine: str) -> dict:
    words = [word for word in command.words(f"sweep-{engine}")[1:] if word not in ("--learning_rate", "5e-3")]
    rates = ["--sweep", "learning_rate=1e-3,5e-3,1e30", "--metric", "eval_loss"]
    command.run("sweep", *words, *rates, "--engine", engine)
    return json.loads((command.folder / f"sweep-{engine}" / "sweep.json").read_text())


def test_a_sweep(command: Command):
    found, expected = sweep(command, "torch"), sweep(command, "node")
    assert [row["name"] for row in found["rows"]] == [row["name"] for row in expected["rows"]]
    assert [row["standing"] for row in found["rows"]] == [row["standing"] for row in expected["rows"]]
    assert [row["name"] for row in found["rows"] if row["standing"] == "failed"] == ["lr-1e30"]
    for row, other in zip(found["rows"], expected["rows"], strict=True):
        if row["standing"] == "failed":
            continue
        for name in ("mean", "low", "high"):
            assert abs(row["value"][name] - other["value"][name]) <= 1e-3, row["name"]
