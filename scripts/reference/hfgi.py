"""HFGI on e4e: its networks and its generator, on weights by a formula.

    python hfgi.py --src CHECKOUTS --out tests/reference/encoders

The official forward pass in f64, with the random perspective of its training left out as in its `inference.py`.
The generator has few channels and 64² pixels; of HFGI's own networks only the last convolutions are narrower. The base
encoder is e4e's own, which is not written for 18 rows alone.
"""
import os
import types

import torch
from torch import nn

from common import parser, write_tensors
from encoders import SMALL, filled, import_from, made, stub, styles
from hyperstyle import Biased, upfirdn
from stylegan2_layouts import native_lrelu, with_channels
from terms import hashed

SIZE, ROWS, CHANNELS = 64, 10, (6, 6, 5, 5, 4)


def e4e(checkout, said):
    encoders, helpers = import_from(checkout, "models.encoders.psp_encoders", "models.encoders.helpers")
    network = made(lambda: encoders.Encoder4Editing(50, "ir_se", types.SimpleNamespace(**said)), helpers, 3, SMALL)
    last = SMALL[-1]
    network.styles = styles(encoders, ROWS, last, True)
    network.latlayer1, network.latlayer2 = nn.Conv2d(SMALL[3], last, 1), nn.Conv2d(SMALL[2], last, 1)
    return network


def case(src, out):
    said = dict(encoder_type="Encoder4Editing", stylegan_size=SIZE, n_styles=ROWS, start_from_latent_avg=True, dataset_type="ffhq_encode")
    base = e4e(os.path.join(src, "omertov+encoder4editing"), said)
    stub("matplotlib", use=lambda name: None)
    whole, parts, generator = import_from(
        os.path.join(src, "Tengfei-Wang+HFGI"), "models.psp", "models.encoders.psp_encoders", "models.stylegan2.model",
        FusedLeakyReLU=Biased, fused_leaky_relu=native_lrelu, upfirdn2d=upfirdn)
    net = whole.pSp.__new__(whole.pSp)
    nn.Module.__init__(net)
    net.encoder, net.residue, net.grid_align = base, parts.ResidualEncoder(), parts.ResidualAligner()
    convolution = lambda inputs: generator.EqualConv2d(inputs, CHANNELS[-1], 3, stride=1, padding=1, bias=True)
    for name in ("condition_scale3", "condition_shift3"):
        pair = nn.Sequential(convolution(64), generator.ScaledLeakyReLU(.2), convolution(CHANNELS[-1]))
        setattr(net.residue, name, pair)
    net.decoder = with_channels(CHANNELS, lambda: generator.Generator(SIZE, SMALL[-1], 2), generator)
    names, tensors = filled(net, "state_dict.", {"latent_avg": [1, SMALL[-1]]})
    net.opts, net.latent_avg = types.SimpleNamespace(device="cpu", **said), tensors["latent_avg"]
    net.grid_transform, net.face_pool = nn.Identity(), nn.Identity()
    seen = {}
    net.grid_align.register_forward_hook(lambda m, i, o: seen.update(aligned=o))
    net.residue.register_forward_hook(lambda m, i, o: seen.update(scale=o[0], shift=o[1]))
    x = hashed((1, 3, 256, 256), 9001, .9)
    with torch.no_grad():
        picture, codes, _, _ = net(x, resize=False, randomize_noise=False, return_latents=True)
        plain, _ = net.decoder([codes], None, input_is_latent=True, randomize_noise=False)
    for name, value in seen.items():
        print(name, tuple(value.shape), value.abs().max().item())
    thin = lambda x, step: x[:, :, ::step, ::step]
    results = dict(code=codes, picture0=thin(plain, 2), picture1=thin(picture, 2), scale=thin(seen["scale"], 4), shift=thin(seen["shift"], 4))
    write_tensors(os.path.join(out, "hfgi.safetensors"), results, dict(state=names, opts=said))


if __name__ == "__main__":
    a = parser().parse_args()
    case(a.src, a.out)
