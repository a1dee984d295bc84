"""`python -m stepdpo_torch.on_ray FOLDER PROCESSES`: one process of training for each worker of a Ray cluster."""

import json
import os
import re
import socket
import sys
from pathlib import Path

import ray

from .events import append

# So long workers may take to begin before it is said what is waited for. Some clusters grow by themselves.
PATIENCE_SECONDS = 20


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


def connect(address: str | None, processes: int) -> None:
    """
    To the cluster of RAY_ADDRESS, or to one of our own that ends with us. Ray by itself would take the cluster that was
    last started on this machine, and wait without end where that one is gone.
    """
    # A cluster that runs already was started without this package.
    package = {"py_modules": [str(Path(__file__).parent)]}
    if not address or address == "local":
        # As many workers as are asked for: processes of one machine share its processors.
        ray.init(address="local", num_cpus=max(processes, os.cpu_count() or 1), include_dashboard=False, runtime_env=package)
        return
    place = re.fullmatch(r"\[?([^/]+?)\]?:(\d+)", address)
    if place is not None:
        try:
            socket.create_connection((place[1], int(place[2])), timeout=30).close()
        except OSError as error:
            raise ConnectionError(f"no Ray cluster answers at RAY_ADDRESS {address}: {error}") from None
    ray.init(address=address, runtime_env=package)


def main(folder: str, processes: int) -> None:
    connect(os.environ.get("RAY_ADDRESS"), processes)
    has_gpus = ray.cluster_resources().get("GPU", 0) > 0
    place = {"num_gpus": 1} if has_gpus else {"num_cpus": 1}
    workers = [Worker.options(**place).remote() for _ in range(processes)]
    places = [worker.address.remote() for worker in workers]
    ready, _ = ray.wait(places, num_returns=processes, timeout=PATIENCE_SECONDS)
    if len(ready) < processes:
        free = ray.available_resources()
        has = f"{free.get('CPU', 0):g} processors and {free.get('GPU', 0):g} GPUs are free"
        message = f"{len(ready)} of {processes} workers have begun, {has} in the cluster; the run waits for the others"
        job = json.loads((Path(folder) / "job.json").read_text(encoding="utf-8"))
        append(job["events"], "waiting", message=message)
    address = ray.get(places)[0]
    ray.get([worker.train.remote(folder, rank, processes, address) for rank, worker in enumerate(workers)])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
