"""`python -m stepdpo_torch.on_ray FOLDER PROCESSES`: one process of training for each worker of a Ray cluster."""

import os
import socket
import sys
from pathlib import Path

import ray


@ray.remote
class Worker:
    """A process of its own, on whichever machine has room. All machines see the folder."""

    def address(self) -> tuple[str, int]:
        with socket.socket() as free:
            free.bind(("", 0))
            return ray.util.get_node_ip_address(), free.getsockname()[1]

    def train(self, folder: str, rank: int, processes: int, address: tuple[str, int]) -> None:
        place = {"RANK": rank, "WORLD_SIZE": processes, "LOCAL_RANK": 0, "MASTER_ADDR": address[0], "MASTER_PORT": address[1]}
        os.environ.update({name: str(value) for name, value in place.items()})
        from .train import train

        train(folder)


def main(folder: str, processes: int) -> None:
    # A cluster that runs already was started without this package.
    package = {"py_modules": [str(Path(__file__).parent)]}
    ray.init(address=os.environ.get("RAY_ADDRESS"), log_to_driver=True, runtime_env=package)
    has_gpus = ray.cluster_resources().get("GPU", 0) >= processes
    place = {"num_gpus": 1} if has_gpus else {"num_cpus": 1}
    workers = [Worker.options(**place).remote() for _ in range(processes)]
    address = ray.get(workers[0].address.remote())
    ray.get([worker.train.remote(folder, rank, processes, address) for rank, worker in enumerate(workers)])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
