"""Ten updates of the torch engine are those of our engine, on any number of processes, also where it is killed."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest
from conftest import UPDATES, Command, Run

TOLERANCE = 1e-3
# Those that need no settings of their own; others are in test_losses.py.
LOSSES = ["hinge", "nca_pair", "bco_pair", "apo_zero"]

FSDP = """
compute_environment: LOCAL_MACHINE
distributed_type: FSDP
mixed_precision: 'no'
num_machines: 1
machine_rank: 0
fsdp_config:
  fsdp_version: 2
  fsdp_auto_wrap_policy: TRANSFORMER_BASED_WRAP
  fsdp_reshard_after_forward: true
  fsdp_state_dict_type: FULL_STATE_DICT
  fsdp_cpu_ram_efficient_loading: false
  fsdp_offload_params: false
"""


def assert_same(found: Run, expected: Run) -> None:
    assert list(found.losses()) == list(range(1, UPDATES + 1))
    for update, loss in expected.losses().items():
        assert abs(found.losses()[update] - loss) <= TOLERANCE, f"update {update}"
    for kind, name in (("train", "rewards/margins"), ("train", "logps/rejected"), ("eval", "eval_loss"), ("eval", "eval_loss_high")):
        there, here = found.metrics(kind, name), expected.metrics(kind, name)
        assert there.keys() == here.keys()
        assert all(abs(there[update] - here[update]) <= TOLERANCE * max(1, abs(here[update])) for update in here), name
    # The same file for each evaluation, with the same problems and pairs.
    for update in expected.metrics("eval", "eval_loss"):
        there, here = found.held_out(update), expected.held_out(update)
        assert [(row["problem"], row["pairs"]) for row in there] == [(row["problem"], row["pairs"]) for row in here]
        for row, other in zip(there, here, strict=True):
            wrong = [name for name in row if name != "problem" and abs(row[name] - other[name]) > TOLERANCE * max(1, abs(other[name]))]
            assert wrong == [], (update, row["problem"])


def test_the_losses_learn_something_so_that_equal_ones_say_something(node: Run):
    losses = list(node.losses().values())
    assert max(losses) - min(losses) > 0.1


@pytest.fixture(scope="module")
def one(command: Command) -> Run:
    return command.train("one", "--engine", "torch")


def test_one_process(command: Command, node: Run, one: Run):
    assert_same(one, node)
    assert (one.folder / "README.md").read_text().startswith("---")
    assert json.loads((one.folder / "trainer_state.json").read_text())["global_step"] == UPDATES
    other = command.start(*command.words("one"), "--resume_from_checkpoint")
    assert "checkpoint-10 is of --engine torch: resume it with --engine torch" in other.communicate(timeout=60)[0]
    assert other.returncode == 1


def test_two_processes_of_gloo(command: Command, node: Run):
    assert_same(command.train("two", "--engine", "torch", "--torch_launcher", "torchrun", "--nproc_per_node", "2"), node)


def test_two_processes_of_accelerate_with_losses_that_are_added_up(command: Command):
    losses = ["--loss_type", ",".join(LOSSES)]
    config = command.folder / "accelerate.yaml"
    lines = ["compute_environment: LOCAL_MACHINE", "distributed_type: MULTI_CPU", "num_processes: 2", "use_cpu: true"]
    config.write_text("\n".join(lines))
    launcher = ["--engine", "torch", "--torch_launcher", "accelerate", "--accelerate_config", str(config)]
    assert_same(command.train("torch-many", *losses, *launcher), command.train("node-many", *losses))


def test_two_processes_that_share_the_weights(command: Command, node: Run, monkeypatch):
    """FSDP 2, also where it is killed. accelerate has it on accelerators only, but for what `processors` puts in its place."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent / "processors"))
    config = command.folder / "fsdp.yaml"
    config.write_text(FSDP)
    launcher = ["--engine", "torch", "--torch_launcher", "accelerate", "--accelerate_config", str(config), "--nproc_per_node", "2"]
    assert command.kill_after(6, *command.words("fsdp"), *launcher) == -signal.SIGKILL
    shared = command.train("fsdp", *launcher, "--resume_from_checkpoint")
    assert_same(shared, node)
    assert "2 of 4 rows of a factor are here" in (shared.folder / "stepdpo" / "run.log").read_text()


def test_two_machines_on_this_one(command: Command, node: Run):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        place = f"localhost:{free.getsockname()[1]}"
    launcher = ["--torch_launcher", "torchrun", "--nnodes", "2", "--rdzv_endpoint", place]
    first = command.start(*command.words("machines"), "--engine", "torch", *launcher)
    said = ""
    for line in first.stdout:
        said += line
        if "the other machine runs: " in line:
            other = subprocess.Popen(line.split("runs: ")[1], shell=True, cwd=command.folder)
            break
    said += first.communicate(timeout=600)[0]
    assert first.returncode == 0, said
    assert other.wait(timeout=60) == 0
    assert_same(Run(command.folder / "machines"), node)


def test_two_workers_of_ray_whatever_cluster_was_here_before(command: Command, node: Run, monkeypatch):
    # Short, for the names of sockets below it. What `ray start` leaves behind where it is not stopped by `ray stop`.
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        Path(folder, "ray").mkdir()
        Path(folder, "ray", "ray_current_cluster").write_text("127.0.0.1:1")
        monkeypatch.setenv("RAY_TMPDIR", folder)
        assert_same(command.train("ray", "--engine", "torch", "--torch_launcher", "ray", "--nproc_per_node", "2"), node)


def test_a_ray_cluster_that_does_not_answer_is_named(command: Command, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    process = command.start(*command.words("ray-none"), "--engine", "torch", "--torch_launcher", "ray")
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "no Ray cluster answers at RAY_ADDRESS 127.0.0.1:1" in said


def test_a_ray_cluster_that_runs_already_and_grows_while_the_run_waits(command: Command, node: Run, monkeypatch):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    # Ray asks for a token by itself; this one is of this cluster alone.
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
    machines = []

    def add(*place: str) -> None:
        options = ["start", *place, "--num-cpus", "1", "--disable-usage-stats", "--block"]
        machines.append(subprocess.Popen([sys.executable, "-m", "ray.scripts.scripts", *options], cwd=command.folder))

    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        try:
            monkeypatch.setenv("RAY_TMPDIR", folder)
            add("--head", "--port", port, "--include-dashboard", "false")
            address = f"127.0.0.1:{port}"
            monkeypatch.setenv("RAY_ADDRESS", address)
            wait_for_port(int(port))
            launcher = ["--engine", "torch", "--torch_launcher", "ray", "--nproc_per_node", "2"]
            run = command.start(*command.words("ray-cluster"), *launcher)
            said = ""
            for line in run.stdout:
                said += line
                if "1 of 2 workers have begun, 0 processors and 0 GPUs are free" in line:
                    add("--address", address)
                    break
            said += run.communicate(timeout=600)[0]
            assert run.returncode == 0, said
            assert len(machines) == 2, said
            assert_same(Run(command.folder / "ray-cluster"), node)
        finally:
            for machine in machines:
                machine.terminate()
            for machine in machines:
                machine.wait(timeout=60)


def wait_for_port(port: int) -> None:
    for _ in range(120):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.5)
    raise TimeoutError(f"nothing listens on port {port}")


def test_a_run_that_is_killed_while_it_saves_for_the_first_time_and_later_goes_on_and_its_adapter_scores(command: Command, node: Run):
    words = [*command.words("killed"), "--engine", "torch"]
    process = command.start(*words)
    saved = command.folder / "killed" / "stepdpo" / "torch" / "saved" / "checkpoint-4"
    while not saved.exists():
        assert process.poll() is None
        time.sleep(0.005)
    process.kill()
    process.communicate(timeout=60)
    # Nothing was taken over: it begins anew.
    assert command.kill_after(6, *words, "--resume_from_checkpoint") == -signal.SIGKILL
    assert "checkpoint-4" in command.run(*words, "--resume_from_checkpoint")
    assert_same(Run(command.folder / "killed"), node)
    scores = command.run(
        "score", "--base_model", words[2], "--adapter", "killed", "--dataset_path", "pairs.jsonl", "--threads", "1"
    )
    assert len(scores.splitlines()) == 50


def test_a_run_that_goes_on_with_other_settings_heeds_them_as_our_engine_does(command: Command, node: Run, one: Run):
    changed = ["--resume_changed", "--learning_rate", "1e-3", "--weight_decay", "0.3", "--adam_beta2", "0.9", "--max_steps", "12"]
    runs = {}
    for engine, begun in (("node", node), ("torch", one)):
        shutil.copytree(begun.folder, command.folder / f"changed-{engine}")
        words = [*command.words(f"changed-{engine}"), "--engine", engine]
        resume = ["--resume_from_checkpoint", f"changed-{engine}/checkpoint-8"]
        command.run(*words, *resume, *changed)
        runs[engine] = Run(command.folder / f"changed-{engine}")
    for name, tolerance in (("learning_rate", 1e-9), ("loss", TOLERANCE), ("grad_norm", 0.1)):
        there, here = (runs[engine].metrics("train", name) for engine in ("torch", "node"))
        assert list(there) == list(range(1, 13))
        assert all(abs(there[update] - here[update]) <= tolerance for update in here), name


def test_a_run_of_which_every_process_is_asked_to_stop_has_saved_and_says_so(command: Command):
    words = [*command.words("asked"), "--engine", "torch", "--torch_launcher", "torchrun", "--nproc_per_node", "2", "--save_strategy", "no"]
    process = command.start(*words)
    for line in process.stdout:
        if line.startswith("step=2/"):
            own = psutil.Process(process.pid)
            for one in [own, *own.children(recursive=True)]:
                one.terminate()
            break
    said = process.stdout.read()
    assert process.wait(timeout=60) == 130, said
    assert "checkpoint-" in said


def test_a_run_that_is_asked_to_stop_saves_and_ends(command: Command, node: Run):
    words = [*command.words("stopped"), "--engine", "torch", "--save_strategy", "no"]
    assert command.kill_after(3, *words, how=signal.SIGTERM) == 130
    saved = [name for name in os.listdir(command.folder / "stopped") if name.startswith("checkpoint-")]
    assert len(saved) == 1 and int(saved[0].split("-")[1]) in range(3, UPDATES)
    command.run(*words, "--resume_from_checkpoint")
    assert_same(Run(command.folder / "stopped"), node)
