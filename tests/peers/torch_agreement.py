"""Holds a training step written by peer_dump against PyTorch: probabilities, loss and all gradients, relative to each
tensor's largest value. usage: torch_agreement.py FILE TOLERANCE; exit code 1 where they differ."""
import json
import pathlib
import struct
import sys

import torch
import torch.nn.functional as F

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import torch_networks  # noqa: E402

SUFFIX = {"scale": "weight", "shift": "bias", "embedding": "", "weight": "weight", "bias": "bias"}


def read(path):
    """Network's name and tensors of a safetensors file."""
    data = pathlib.Path(path).read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + size])
    name = header.pop("__metadata__")["network"]
    tensors = {}
    for key, entry in header.items():
        begin, end = entry["data_offsets"]
        values = torch.frombuffer(bytearray(data[8 + size + begin:8 + size + end]), dtype=torch.float32)
        tensors[key] = values.reshape(entry["shape"])
    return name, tensors


def to_torch(tensor, target):
    """Our layouts (kernel_h, kernel_w, inputs, outputs; inputs x outputs) as PyTorch's."""
    if target.dim() == 4:
        kernel_h, kernel_w = target.shape[2:]
        return tensor.reshape(kernel_h, kernel_w, target.shape[1], target.shape[0]).permute(3, 2, 0, 1)
    if target.dim() == 2:
        return tensor.reshape(target.shape[1], target.shape[0]).T
    return tensor.reshape(target.shape)


def main(path, tolerance):
    name, tensors = read(path)
    network, _ = torch_networks.make(name)
    parameters = dict(network.named_parameters())
    twins = {}
    for key in tensors:
        if key.startswith("gradient:"):
            node, kind = key[len("gradient:"):].rsplit(".", 1)
            twins[key] = parameters[".".join(part for part in (node, SUFFIX[kind]) if part)]
    assert len(twins) == len(parameters), sorted(set(parameters) - {k for k, v in parameters.items() if
                                                                      any(v is twin for twin in twins.values())})
    with torch.no_grad():
        for key, twin in twins.items():
            twin.copy_(to_torch(tensors[key.replace("gradient:", "weight:")], twin))
    network.train()
    logits = network(tensors["input"].permute(0, 3, 1, 2))
    loss = F.cross_entropy(logits, tensors["labels"].long())
    loss.backward()
    worst = 0.0
    compared = [("probabilities", tensors["probabilities"], logits.softmax(1)), ("loss", tensors["loss"][0], loss)]
    compared += [(key, to_torch(tensors[key], twin), twin.grad) for key, twin in twins.items()]
    for key, ours, theirs in compared:
        # Shifts before a batch norm have no gradient: compare against what is not zero.
        scale = max(theirs.abs().max().item(), 1e-3)
        difference = (ours - theirs).abs().max().item() / scale
        worst = max(worst, difference)
        if not difference <= tolerance:
            print(f"{name} {key}: differs by {difference:.2e} of its largest value {scale:.2e}")
    print(f"agreement {name} tensors {len(compared)} largest_relative_difference {worst:.2e} allowed {tolerance:.0e}")
    return 0 if worst <= tolerance else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2])))
