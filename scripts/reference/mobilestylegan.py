"""MobileStyleGAN parity: the authors' networks, small and random, by the names of their checkpoints.

    python mobilestylegan.py --official CHECKOUT --out tests/reference/mobilestylegan

CHECKOUT is a clone of bes-dev/MobileStyleGAN.pytorch, kept outside this repository; its wavelet needs the packages
pytorch-wavelets and PyWavelets. The Lightning module around the networks is not built (it downloads its teacher): the
files have the names that its state dict has.
"""
import argparse
import os
import sys

import numpy as np
import torch

from common import rng, wave_loss, write_case

COMMIT = "bes-dev/MobileStyleGAN.pytorch@%s"
# name: dimensions of z and w, mapping layers, channels, prefix of the names, noise
CASES = {
    "mobile_32": (12, 3, [16, 16, 8], "state_dict.", "const"),
    "mobile_64": (20, 2, [32, 24, 16, 8], "", "none"),
}


def build(networks, name):
    """The mapping network and the student with numbers that give pictures of about [-1, 1]."""
    dim, layers, channels, _, noise = CASES[name]
    mapping_class, student_class, injection = networks
    r = rng(name)
    mapping, student = mapping_class(dim, layers).eval(), student_class(dim, channels).eval()
    with torch.no_grad():
        for part, module in [("mapping", mapping), ("student", student)]:
            for key, t in list(module.named_parameters()) + list(module.named_buffers()):
                if "idwt" in key or key == "device_info":
                    continue
                x = r.standard_normal(tuple(t.shape))
                if part == "mapping":
                    x *= (15.0 if key.endswith("bias") else 100.0)
                elif key.endswith("modulation.weight"):
                    x *= 0.5 / np.sqrt(dim)
                elif key.endswith("modulation.bias"):
                    x = 1 + 0.2 * x
                elif key.endswith("style_inv"):
                    x = 1 + 0.3 * x
                elif key.endswith("noise.weight"):
                    x = 0.3 * np.sign(x)
                elif key.endswith("bias"):
                    x *= 0.2
                t.copy_(torch.from_numpy(np.asarray(x)))
        if noise == "const":
            sides = {"conv1": 4} | {f"layers.{i}": 8 * 2 ** i for i in range(len(channels) - 1)}
            for key, module in student.named_modules():
                if isinstance(module, injection):
                    side = next(s for at, s in sides.items() if key.startswith(at))
                    module.trace_model = True
                    module.register_buffer("noise", torch.from_numpy(r.standard_normal((1, 1, side, side))).float())
    return mapping, student


def files(name, mapping, student):
    """The state dict of the Lightning module, with something of what else it holds."""
    prefix, r = CASES[name][3], rng(name + ".file")
    tensors = {f"mapping_net.{k}": v for k, v in mapping.state_dict().items()}
    tensors |= {f"student.{k}": v for k, v in student.state_dict().items()}
    mean = torch.from_numpy(0.2 * r.standard_normal((1, 1, mapping.style_dim))).float()
    tensors["style_mean"] = mean.repeat(1, student.wsize(), 1)
    tensors["device_info"] = torch.ones(1)
    tensors["synthesis_net.input.input"] = torch.from_numpy(r.standard_normal((1, 4, 4, 4))).float()
    tensors["loss.perceptual_loss.vgg.0.weight"] = torch.from_numpy(r.standard_normal((4, 3, 3, 3))).float()
    return {prefix + k: v for k, v in tensors.items()}


def probes(student):
    """Weights whose gradients are compared: their names in the official code and here."""
    last = len(student.layers) - 1
    return {
        "conv1.conv.weight": "synthesis.conv1.weight",
        "conv1.noise.weight": "synthesis.conv1.noise_strength",
        "input.input": "synthesis.const",
        "layers.0.up.modulation.weight": "synthesis.b0.up.affine.weight",
        "layers.0.conv1.conv.weight_dw": "synthesis.b0.conv1.depthwise",
        f"layers.{last}.conv2.conv.weight_permute": f"synthesis.b{last}.conv2.pointwise",
        f"layers.{last}.conv2.bias": f"synthesis.b{last}.conv2.bias",
        f"layers.{last}.to_img.conv.weight": f"synthesis.b{last}.head.weight",
    }


def case(networks, name, out, commit):
    dim, _, channels, _, noise = CASES[name]
    mapping, student = build(networks, name)
    z = torch.from_numpy(rng(name + ".inputs").standard_normal((2, dim)).astype(np.float32)).requires_grad_(True)
    with torch.no_grad():
        # The picture is linear in the last head: scale it so that it reaches 1.3.
        peak = picture(student, mapping(z), noise).abs().max()
        head = student.layers[-1].to_img
        head.conv.weight.mul_(1.3 / peak)
        head.bias.mul_(1.3 / peak)
    params = dict(student.named_parameters())
    w = mapping(z)
    w.retain_grad()
    image = picture(student, w, noise)
    loss = wave_loss(image)
    loss.backward()
    wanted = probes(student)
    if noise == "none":
        wanted = {k: v for k, v in wanted.items() if "noise" not in k}
    weights = {v: params[k].grad.clone() for k, v in wanted.items()}
    numbers = {"z": z, "w": w, "image": image, "loss": loss.reshape(1), "grad.z": z.grad, "grad.w": w.grad}
    numbers |= {f"grad.weight.{k}": v for k, v in weights.items()}
    ws = w.detach().unsqueeze(1).repeat(1, student.wsize(), 1).requires_grad_(True)
    wave_loss(picture(student, ws, noise)).backward()
    numbers |= {"ws": ws, "grad.ws": ws.grad}
    side = 8 * 2 ** (len(channels) - 1)
    spec = dict(width=side, height=side, channels=3, z_dim=dim, w_dim=dim, c_dim=0, num_ws=student.wsize())
    reference = dict(code=COMMIT % commit, family="mobilestylegan", noise=noise, tolerance=1e-3, spec=spec)
    write_case(out, name, files(name, mapping, student), numbers, reference)


def picture(student, style, noise):
    sides = [4 * 2 ** i for i in range(len(student.layers) + 1)]
    maps = None if noise == "const" else [torch.zeros(1 if s == 4 else 2, 1, s, s) for s in sides]
    return student(style, noise=maps)["img"]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--official", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--commit", default="main")
    a = p.parse_args()
    sys.path.insert(0, os.path.abspath(a.official))
    from core.models.mapping_network import MappingNetwork
    from core.models.mobile_synthesis_network import MobileSynthesisNetwork
    from core.models.modules.noise_injection import NoiseInjection
    for name in CASES:
        case((MappingNetwork, MobileSynthesisNetwork, NoiseInjection), name, a.out, a.commit)


if __name__ == "__main__":
    main()
