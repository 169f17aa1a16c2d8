"""Plain generators (DCGAN and what is made like it) in PyTorch, written for this comparison: random weights, batch norms
with statistics that are not trivial, eval mode, in f32 and in f64. Pictures and gradients in z for gannet's tests.

    python dcgan.py ../../tests/reference/dcgan
"""
import os
import sys

import common
import torch
from torch import nn


def up(i, o, k, s, p, op=0, bias=False):
    return nn.ConvTranspose2d(i, o, k, s, p, op, bias=bias)


class Plain(nn.Module):
    """`main`, read by z, or by z and a class."""

    def __init__(self, main, classes=0, table=None, way=None):
        super().__init__()
        self.main, self.classes, self.way = main, classes, way
        if table:
            self.label_emb = nn.Embedding(classes, table)

    def forward(self, z, c=None):
        x = z
        if self.way == "one_hot":
            x = torch.cat([z, c], 1)
        elif self.way == "product":
            x = z * (c @ self.label_emb.weight)
        elif self.way == "first":
            x = torch.cat([c @ self.label_emb.weight, z], 1)
        elif self.way == "last":
            x = torch.cat([z, c @ self.label_emb.weight], 1)
        first = self.main[0]
        return self.main(x.flatten(1) if isinstance(first, nn.Linear) else x[:, :, None, None])


class Blocks(nn.Module):
    """The module names, eps and slopes of PyTorch-GAN's convolutional generators."""

    def __init__(self, z, f, px, channels, classes=0):
        super().__init__()
        self.base, self.f, self.classes, self.way = px // 4, f, classes, "product" if classes else None
        if classes:
            self.label_emb = nn.Embedding(classes, z)
        self.l1 = nn.Sequential(nn.Linear(z, f * self.base**2))
        self.conv_blocks = nn.Sequential(
            nn.BatchNorm2d(f), nn.Upsample(scale_factor=2),
            nn.Conv2d(f, f, 3, 1, 1), nn.BatchNorm2d(f, 0.8), nn.LeakyReLU(0.2), nn.Upsample(scale_factor=2),
            nn.Conv2d(f, f // 2, 3, 1, 1), nn.BatchNorm2d(f // 2, 0.8), nn.LeakyReLU(0.2),
            nn.Conv2d(f // 2, channels, 3, 1, 1), nn.Tanh())

    def forward(self, z, c=None):
        x = z * (c @ self.label_emb.weight) if self.classes else z
        return self.conv_blocks(self.l1(x).view(len(x), self.f, self.base, self.base))


def dcgan(z, widths, channels, base=4, k=4):
    """The network of Radford et al. as PyTorch's tutorial has it."""
    layers = [up(z, widths[0], base, 1, 0), nn.BatchNorm2d(widths[0]), nn.ReLU()]
    for i, o in zip(widths, widths[1:]):
        layers += [up(i, o, k, 2, (k - 1) // 2, k % 2), nn.BatchNorm2d(o), nn.ReLU()]
    return nn.Sequential(*layers, up(widths[-1], channels, k, 2, (k - 1) // 2, k % 2), nn.Tanh())


def reshaped(z, widths, channels, side, k):
    """Project and reshape, with a norm over the vector; biases in every layer."""
    n = widths[0] * side**2
    layers = [nn.Linear(z, n), nn.BatchNorm1d(n), nn.ReLU(), nn.Unflatten(1, (widths[0], side, side))]
    for i, o in zip(widths, widths[1:]):
        layers += [up(i, o, k, 2, (k - 1) // 2, k % 2, True), nn.BatchNorm2d(o), nn.ReLU()]
    return nn.Sequential(*layers, up(widths[-1], channels, k, 2, (k - 1) // 2, k % 2, True), nn.Tanh())


def cases():
    yield "conv_first_32", Plain(dcgan(20, [16, 12, 8], 3))
    yield "conv_first_64", Plain(dcgan(24, [16, 12, 8, 8], 3))
    yield "conv_first_k5_32_gray", Plain(dcgan(16, [12, 8, 8], 1, k=5))
    yield "conv_first_k3_24_rgba", Plain(dcgan(16, [12, 8], 4, base=6, k=3))
    yield "conv_first_32x16", Plain(dcgan(18, [12, 10, 8], 3, base=(4, 2)))
    yield "linear_first_28_gray", Plain(reshaped(16, [12, 8], 1, 7, 4))
    yield "linear_first_32", Plain(reshaped(20, [12, 10, 8], 3, 4, 5))
    yield "blocks_16", Blocks(20, 12, 16, 3)
    yield "blocks_32_classes", Blocks(20, 12, 32, 1, 7)
    yield "one_hot_32", Plain(dcgan(26, [16, 12, 8], 3), 6, None, "one_hot")
    yield "one_hot_64", Plain(dcgan(25, [16, 12, 8, 8], 3), 5, None, "one_hot")
    yield "table_first_16", Plain(dcgan(20, [12, 8], 3), 5, 8, "first")
    yield "table_last_16", Plain(dcgan(20, [12, 8], 3), 5, 8, "last")


def fill(name, net):
    """Random weights that keep the maps at about unit size, and statistics that those maps have."""
    r = common.rng(name)

    def tensor(like, mean, spread):
        return torch.from_numpy(mean + spread * r.standard_normal(tuple(like.shape))).to(like.dtype)

    for module in net.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
            inputs = module.weight.shape[0 if isinstance(module, nn.ConvTranspose2d) else 1]
            module.weight.data = tensor(module.weight, 0, inputs**-0.5)
            if module.bias is not None:
                module.bias.data = tensor(module.bias, 0, 0.1)
        elif isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.weight.data, module.bias.data = tensor(module.weight, 1, 0.2), tensor(module.bias, 0, 0.3)
        elif isinstance(module, nn.Embedding):
            module.weight.data = tensor(module.weight, 0.4, 1)
    if net.way == "one_hot":
        # Training makes the rows of a class longer than those of z; so they are told.
        net.main[0].weight.data[-net.classes:] *= 3
    # The statistics of many codes, as training leaves them.
    for module in net.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.momentum = None
            module.reset_running_stats()
    net.train()
    with torch.no_grad():
        for _ in range(8):
            z, c = inputs_of(net, 64, r)
            net(z, c)
    return net.eval()


def inputs_of(net, n, r, dense=False):
    first = net.main[0] if hasattr(net, "main") else net.l1[0]
    dim = first.weight.shape[1 if isinstance(first, nn.Linear) else 0]
    if net.way == "one_hot":
        dim -= net.classes
    elif net.way in ("first", "last"):
        dim -= net.label_emb.weight.shape[1]
    z = torch.from_numpy(r.standard_normal((n, dim))).float()
    if not net.classes:
        return z, None
    c = torch.eye(net.classes)[torch.from_numpy(r.randint(0, net.classes, n))]
    if dense:
        c[-1] = torch.linspace(0, 1, net.classes) / net.classes
    return z, c


def run(net, z, c, target):
    z = z.clone().requires_grad_()
    picture = net(z, c)
    loss = ((picture - target) ** 2).mean()
    (grad,) = torch.autograd.grad(loss, z)
    return {"ref.image": picture.detach(), "ref.loss": loss.detach().reshape(1), "ref.grad.z": grad}


def main(folder):
    os.makedirs(folder, exist_ok=True)
    for name, net in cases():
        net = fill(name, net)
        r = common.rng(name + " inputs")
        z, c = inputs_of(net, 2, r, dense=True)
        target = torch.from_numpy(r.uniform(-1, 1, tuple(net(z, c).shape))).float()
        single = run(net, z, c, target)
        weights = {k: v.clone() for k, v in net.state_dict().items() if "num_batches" not in k}
        net.double()
        exact = run(net, z.double(), None if c is None else c.double(), target.double())
        deviation = {k: float((single[k] - v).abs().max() / v.abs().max()) for k, v in exact.items()}
        assert max(deviation.values()) < 1e-5, (name, deviation)
        tensors = {**weights, **exact, "ref.z": z, "ref.target": target}
        if c is not None:
            tensors["ref.c"] = c
        about = {"z_dim": z.shape[1], "c_dim": net.classes, "deviation": deviation}
        common.write_tensors(os.path.join(folder, f"{name}.safetensors"), tensors, {"reference": about})


if __name__ == "__main__":
    main(sys.argv[1])
