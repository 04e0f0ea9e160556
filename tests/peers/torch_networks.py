"""The networks of networks.cpp in PyTorch, with the same names of weights."""
import torch
import torch.nn.functional as F
from torch import nn


def conv_bn(inputs, outputs, kernel, stride, padding, groups=1):
    return nn.ModuleDict({
        "conv": nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False),
        "bn": nn.BatchNorm2d(outputs),
    })


def run(layer, x):
    return layer["bn"](layer["conv"](x))


class ResNet8(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = conv_bn(3, 16, 3, 1, 1)
        for block, (inputs, outputs, stride) in enumerate(((16, 16, 1), (16, 32, 2), (32, 64, 2))):
            # At stride 2 and an even size, "same" padding puts its one column at the end.
            padding = 1 if stride == 1 else 0
            layers = {"a": conv_bn(inputs, outputs, 3, stride, padding), "b": conv_bn(outputs, outputs, 3, 1, 1)}
            if block > 0:
                layers["shortcut"] = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.add_module(f"block{block}", nn.ModuleDict(layers))
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(run(self.stem, x))
        for block in range(3):
            layers = getattr(self, f"block{block}")
            inner = x if block == 0 else F.pad(x, (0, 1, 0, 1))
            main = run(layers["b"], F.relu(run(layers["a"], inner)))
            x = F.relu(main + (layers["shortcut"](x) if block > 0 else x))
        return self.fc(x.mean((2, 3)))


class DsCnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = conv_bn(1, 64, (10, 4), 2, 0)
        for block in range(4):
            self.add_module(f"block{block}", nn.ModuleDict({
                "dw": conv_bn(64, 64, 3, 1, 1, groups=64), "pw": conv_bn(64, 64, 1, 1, 0)}))
        self.fc = nn.Linear(64, 12)

    def forward(self, x):
        x = F.relu(run(self.stem, F.pad(x, (1, 1, 4, 5))))  # "same" padding of 49 x 10 at stride 2
        for block in range(4):
            layers = getattr(self, f"block{block}")
            x = F.relu(run(layers["pw"], F.relu(run(layers["dw"], x))))
        return self.fc(x.mean((2, 3)))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x):
        batch, tokens, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(batch, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-2, -1) * (width // self.heads) ** -0.5).softmax(-1)
        x = x + self.proj((weights @ v).transpose(1, 2).reshape(batch, tokens, width))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class ViT(nn.Module):
    def __init__(self, width=192, depth=6, heads=3):
        super().__init__()
        self.patch_embed = nn.Conv2d(3, width, 4, 4)
        self.position = nn.Parameter(torch.randn(1, 64, width) * 0.02)
        self.blocks = nn.ModuleList([Block(width, heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        x = self.patch_embed(x).flatten(2).transpose(1, 2) + self.position
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x).mean(1))


def make(name):
    """Network and shape (channels, height, width) of its input."""
    return {"resnet8": (ResNet8, (3, 32, 32)), "ds_cnn": (DsCnn, (1, 49, 10)), "vit": (ViT, (3, 32, 32))}[name][0](), \
        {"resnet8": (3, 32, 32), "ds_cnn": (1, 49, 10), "vit": (3, 32, 32)}[name]
