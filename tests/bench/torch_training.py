"""Times training steps of the same networks as trainer_bench in PyTorch, at its best settings on a CPU: channels_last
for convolutional networks, eager mode. Prints `train MODEL threads N samples_per_second MEDIAN best BEST`.
usage: torch_training.py THREADS REPEATS MODEL..."""
import pathlib
import sys
import time

import torch
import torch.nn.functional as F

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "peers"))
import torch_networks  # noqa: E402

BATCH = 64


def main(threads, repeats, names):
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    # One thread is judged by its CPU time, more by the wall clock, as in trainer_bench.
    clock = time.process_time if threads == 1 else time.perf_counter
    for name in names:
        network, shape = torch_networks.make(name)
        images, labels = torch.randn(BATCH, *shape), torch.randint(0, 10, (BATCH,))
        if name != "vit":
            network = network.to(memory_format=torch.channels_last)
            images = images.contiguous(memory_format=torch.channels_last)
        optimizer = torch.optim.SGD(network.parameters(), 0.01, momentum=0.9, weight_decay=5e-4)

        def step():
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(network(images), labels).backward()
            optimizer.step()

        for _ in range(3):
            step()
        rates = []
        for _ in range(repeats):
            start = clock()
            step()
            step()
            rates.append(2 * BATCH / (clock() - start))
        rates.sort()
        print(f"train {name} threads {threads} samples_per_second {rates[len(rates) // 2]:.0f} best {rates[-1]:.0f}",
              flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
