"""`python -m stepdpo_torch FOLDER`, as it is or by torchrun or accelerate launch."""

import sys

import torch.distributed

from .train import train

train(sys.argv[1])
if torch.distributed.is_initialized():
    torch.distributed.destroy_process_group()
