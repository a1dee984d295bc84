"""One run of training: TRL's DPOTrainer on exported groups. What happens is told as lines of events to the launcher."""

import json
import os
import signal
import socket
import time
from pathlib import Path

import psutil
import torch
from datasets import Dataset
from peft import LoraConfig, load_peft_weights, set_peft_model_state_dict
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from torch.utils.data import SequentialSampler
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, PrinterCallback, Trainer, TrainerCallback
from trl import DPOConfig, DPOTrainer

from .data import Updates, collate, pairs_of, read_lines, share
from .events import append
from .losses import LOSSES, Pairs

OF_PAIRS = (
    "loss", "rewards/chosen", "rewards/rejected", "rewards/margins", "rewards/accuracies", "rewards/ties",
    "logps/chosen", "logps/rejected", "pairs",
)  # fmt: skip
SUMS = (
    *OF_PAIRS, "entropy", "scored", "logits/chosen", "mean_token_accuracy", "chosen_tokens", "logits/rejected",
    "rejected_tokens", "tokens",
)  # fmt: skip
OF_TOKENS = {
    "entropy": "scored",
    "logits/chosen": "chosen_tokens",
    "mean_token_accuracy": "chosen_tokens",
    "logits/rejected": "rejected_tokens",
}
PATIENCE_SECONDS = 1200
COUNTS = {"pairs", "scored", "chosen_tokens", "rejected_tokens", "tokens"}


class StepTrainer(DPOTrainer):
    """DPOTrainer on token ids of ours, with weights of pairs and of tokens. The reference is the base without adapter."""

    def __init__(self, job: dict, updates: Updates, held_out: list[tuple], **given):
        self.job, self.updates, self.held_out = job, updates, held_out
        super().__init__(**given)
        self.processing_class = None  # it would be saved, and is none
        self.sums = torch.zeros(len(SUMS), dtype=torch.float64, device="cpu")
        self.by_pair = None  # of the last microbatch [pairs, OF_PAIRS], times the weight of each pair

    def _prepare_dataset(self, dataset, *_, **__):
        return dataset

    def _get_train_sampler(self, train_dataset=None):
        return SequentialSampler(train_dataset if train_dataset is not None else self.train_dataset)

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        scored, weights = inputs["scored"][:, 1:].bool(), inputs["token_weights"][:, 1:]
        asked = {"input_ids": inputs["input_ids"], "attention_mask": inputs["attention_mask"], "use_cache": False}
        asked |= {"labels": inputs["input_ids"].masked_fill(inputs["scored"] == 0, -100), "fused_lm_head": True}
        outputs = model(**asked)
        with torch.no_grad(), self.accelerator.unwrap_model(self.model).disable_adapter():
            reference = self.model(**asked).log_probs
        length = scored.size(1)
        chosen, rejected = (weights * outputs.log_probs[:, -length:]).sum(1).chunk(2)
        base_chosen, base_rejected = (weights * reference[:, -length:]).sum(1).chunk(2)
        pairs = Pairs(
            chosen - base_chosen, rejected - base_rejected, *weights.sum(1).chunk(2),
            self.job["beta"], self.job["label_smoothing"], self.job["discopop_tau"],
        )  # fmt: skip
        losses = sum(term["weight"] * LOSSES[term["type"]](pairs) for term in self.job["losses"])
        with torch.no_grad():
            self._add(inputs, outputs, scored, pairs, losses, (chosen, rejected))
        return (losses * inputs["pair_weights"]).sum() * inputs["scale"]

    def _add(self, inputs, outputs, scored, pairs: Pairs, losses, logps) -> None:
        length, counts = scored.size(1), inputs["pair_weights"]
        chosen, rejected = pairs.rewards
        by_pair = (
            losses, chosen, rejected, chosen - rejected, (chosen > rejected).float(), (chosen == rejected).float(),
            *logps, torch.ones_like(chosen),
        )  # fmt: skip
        scored = scored * torch.cat([counts, counts])[:, None]
        entropy, logits = outputs.entropy[:, -length:], outputs.mean_logits[:, -length:]
        own, other = scored.chunk(2)
        by_token = (
            (entropy * scored).sum(), scored.sum(), (logits.chunk(2)[0] * own).sum(),
            (outputs.is_top1[:, -length:].chunk(2)[0] * own).sum(), own.sum(),
            (logits.chunk(2)[1] * other).sum(), other.sum(), inputs["attention_mask"].sum() * (counts.sum() > 0),
        )  # fmt: skip
        self.by_pair = (torch.stack(by_pair, 1) * counts[:, None]).double().cpu()
        self.sums += torch.cat([self.by_pair.sum(0), torch.stack(by_token).double().cpu()])

    def means(self) -> dict[str, float]:
        """Of everything since the last call, on all processes."""
        total = self.accelerator.reduce(self.sums.to(self.accelerator.device), "sum")
        self.sums.zero_()
        named = dict(zip(SUMS, total.tolist()))
        means = {name: named[name] / named[OF_TOKENS.get(name, "pairs")] for name in SUMS if name not in COUNTS}
        return means | {"tokens": named["tokens"]}

    def log(self, logs, start_time=None):
        if "grad_norm" in logs or "loss" in logs:
            logs.update(self.means())
            # A float cannot be told to JSON that is not finite, and no later update would mend it.
            wrong = [name for name, value in logs.items() if value != value or abs(value) == float("inf")]
            if wrong:
                tell(self, "not-finite", update=self.state.global_step, metric=wrong[0])
                raise ArithmeticError(f"update {self.state.global_step}: {wrong[0]} is not finite")
        Trainer.log(self, logs, start_time)

    def evaluate(self, *_, **__):
        begun, (rank, processes) = time.monotonic(), (self.accelerator.process_index, self.accelerator.num_processes)
        self.sums.zero_()
        size = max(1, self.args.per_device_eval_batch_size)
        self.model.eval()
        own = share(self.held_out, rank, processes)
        # Under FSDP a forward pass is made by all processes together: each makes as many.
        passes = -(-(-(-len(self.held_out) // processes)) // size)
        problems = list(dict.fromkeys(group["problem"] for group, *_ in self.held_out))
        places = {problem: at for at, problem in enumerate(problems)}
        table = torch.zeros(len(places), len(OF_PAIRS), dtype=torch.float64)
        for at in range(passes):
            batch = own[at * size : (at + 1) * size] or [(*own[0][:3], 0)]
            with torch.no_grad(), self.compute_loss_context_manager():
                self.compute_loss(self.model_wrapped, self._prepare_inputs(collate(batch, 1.0)))
            table.index_add_(0, torch.tensor([places[group["problem"]] for group, *_ in batch]), self.by_pair)
        self.model.train()
        table = self.accelerator.reduce(table.to(self.accelerator.device), "sum").tolist()
        metrics = {f"eval_{name}": value for name, value in self.means().items() if name != "tokens"}
        self.log(dict(metrics))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        seconds = time.monotonic() - begun
        by_problem = [means_of(problem, row) for problem, row in zip(problems, table, strict=True)]
        tell(self, "evaluation-end", update=self.state.global_step, metrics=metrics, problems=by_problem, seconds=seconds)
        return metrics

    def _load_optimizer_and_scheduler(self, checkpoint):
        """Moments and the place in the schedule are the checkpoint's; settings are those of now (`--resume_changed`)."""
        groups, rates = self.optimizer.param_groups, self.lr_scheduler.base_lrs
        now = [{name: group[name] for name in ("weight_decay", "betas", "eps", "initial_lr")} for group in groups]
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is None:
            return
        self.lr_scheduler.base_lrs = rates
        for group, own, rate, at in zip(self.optimizer.param_groups, now, rates, self.lr_scheduler.lr_lambdas, strict=True):
            group.update(own, lr=rate * at(self.lr_scheduler.last_epoch))
        self.lr_scheduler._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def _save_checkpoint(self, model, trial):
        Trainer._save_checkpoint(self, model, trial)  # TRL's would write a card of its own into the run's folder
        self.accelerator.wait_for_everyone()
        tell(self, "checkpoint-written", update=self.state.global_step)
        if self.accelerator.is_main_process:
            wait_for(Path(f"{self.job['taken']}-{self.state.global_step}"), self.job["launcher"])
        self.accelerator.wait_for_everyone()


def means_of(problem: str, sums: list[float]) -> dict:
    """The metrics of a held-out problem, from sums over its pairs."""
    *values, pairs = sums
    return {"problem": problem, "pairs": pairs, "metrics": {name: value / pairs for name, value in zip(OF_PAIRS, values)}}


def tell(trainer: DPOTrainer, event: str, **facts) -> None:
    """Tells the launcher, from the first process."""
    if trainer.accelerator.is_main_process:
        append(trainer.job["events"], event, **facts)


def end_without(launcher: dict) -> None:
    """Where the launcher was killed nobody takes over what is saved, and the run may have begun anew."""
    if launcher["host"] == socket.gethostname() and not psutil.pid_exists(launcher["pid"]):
        os._exit(1)


def wait_for(path: Path, launcher: dict) -> None:
    """Until the launcher has written a file, which takes it as long as its disk."""
    latest = time.monotonic() + PATIENCE_SECONDS
    while not path.exists():
        end_without(launcher)
        if time.monotonic() > latest:
            raise TimeoutError(f"the launcher has not written {path} in {PATIENCE_SECONDS} s")
        time.sleep(0.02)


class Moments(TrainerCallback):
    """Logs every update; evaluates and saves when the launcher's settings say so, and where it asks to stop."""

    def __init__(self, job: dict):
        self.job, self.trainer, self.begun, self.is_asked = job, None, 0.0, False
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, self.ask)

    def ask(self, *_) -> None:
        self.is_asked = True

    def must_stop(self) -> bool:
        """All processes decide the same, where one of them was told."""
        end_without(self.job["launcher"])
        told = self.is_asked or Path(self.job["stop"]).exists()
        device = self.trainer.accelerator.device
        return self.trainer.accelerator.reduce(torch.tensor(float(told), device=device), "sum").item() > 0

    def on_train_begin(self, args, state, control, **_):
        self.begun = time.monotonic()

    def on_step_end(self, args, state, control, **_):
        update, is_last = state.global_step, state.global_step >= self.job["updates"]
        every = {name: self.job[name]["every"] for name in ("evaluation", "saving")}
        due = {name: n > 0 and (update % n == 0 or is_last) for name, n in every.items()}
        stops = self.must_stop()
        control.should_log, control.should_evaluate = True, due["evaluation"]
        control.should_save = due["saving"] or stops
        control.should_training_stop = is_last or stops
        return control

    def on_log(self, args, state, control, logs=None, **_):
        if logs is None or "grad_norm" not in logs and "loss" not in logs:
            return
        now = time.monotonic()
        metrics = {name: value for name, value in logs.items() if name not in ("tokens", "epoch")}
        facts = {"tokens": int(logs["tokens"]), "seconds": now - self.begun}
        self.begun = now
        memory = psutil.Process().memory_info().rss
        tell(self.trainer, "update-end", update=state.global_step, metrics=metrics, residentBytes=memory, **facts)


def no_tokenizer() -> PreTrainedTokenizerFast:
    """TRL asks for one; nothing is encoded with it."""
    words = Tokenizer(WordLevel({"<pad>": 0}, unk_token="<pad>"))
    return PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", eos_token="<pad>")


def make_trainer(job: dict, folder: Path) -> StepTrainer:
    args = DPOConfig(
        output_dir=job["output_dir"], bf16=job["precision"] == "bfloat16", beta=job["beta"], report_to=[],
        use_cpu=not torch.cuda.is_available(), per_device_train_batch_size=1, max_length=None, logging_strategy="no",
        save_strategy="no", eval_strategy="no", remove_unused_columns=False, disable_tqdm=True, dataloader_num_workers=0,
        average_tokens_across_devices=False, ddp_find_unused_parameters=False, per_device_eval_batch_size=job["evaluation"]["batch"], **job["training"],
    )  # fmt: skip
    updates = Updates(job, folder, args.world_size)
    held_out = pairs_of(read_lines(folder / "held-out.jsonl"))
    # Weights in the precision that they are stored in, as our engine keeps them; the adapter is in float32 anyway.
    dtype = "auto" if job["precision"] == "bfloat16" else torch.float32
    model = AutoModelForCausalLM.from_pretrained(job["base_model"], dtype=dtype)
    lora = LoraConfig.from_pretrained(folder / "adapter")
    lora.inference_mode = False
    moments = Moments(job)
    items = Dataset.from_dict({"item": list(range(len(updates)))})
    trainer = StepTrainer(
        job, updates, held_out, model=model, args=args, train_dataset=items, peft_config=lora,
        data_collator=updates.collate, processing_class=no_tokenizer(), callbacks=[moments],
    )  # fmt: skip
    moments.trainer = trainer
    trainer.remove_callback(PrinterCallback)  # the launcher shows the same
    lost = set_peft_model_state_dict(trainer.model, load_peft_weights(str(folder / "adapter"), device="cpu"))
    if lost.unexpected_keys:
        raise ValueError(f"the adapter has factors that this model lacks: {lost.unexpected_keys[:3]}")
    return trainer


def train(path: str) -> None:
    """Trains the job in a folder, from its checkpoint if it names one, and leaves the adapter in `trained`."""
    begun, folder = time.monotonic(), Path(path)
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    trainer = make_trainer(job, folder)
    count = {"parameters": 0, "trainable": 0}
    for parameter in trainer.model.parameters():
        count["trainable" if parameter.requires_grad else "parameters"] += parameter.numel()
    tell(trainer, "model-loaded", **count, seconds=time.monotonic() - begun)
    if job["evaluation"]["first"] and job["resume"] is None:
        trainer.evaluate()
    trainer.train(resume_from_checkpoint=job["resume"])
    if trainer.state.global_step < job["updates"]:
        return
    trainer.save_model(str(folder / "trained"))
    trainer.accelerator.wait_for_everyone()
    tell(trainer, "trained")
