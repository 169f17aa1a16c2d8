"""StyleFeatureEditor: its inverter, its editor and its generator, on weights by a formula.

    python sfe.py --src CHECKOUTS --out tests/reference/encoders

The official forward passes in f64: of the inverter alone, and of the whole method, whose inversion lets the editor look at an
edit that changes nothing. The networks have few channels, the generator has 128² pixels.
"""
import os

import torch
from torch import nn

from common import parser, write_tensors
from encoders import SMALL, filled, import_from, stem
from hyperstyle import Biased, upfirdn
from stylegan2_layouts import native_lrelu, with_channels
from terms import hashed

SIZE, ROWS, LAST, CHANNELS = 128, 12, SMALL[-1], (6, 6, 5, 5, 5, 4)
UNITS, STRIDES = (3, 4, 14, 3), (2, 2, 1, 2)


def backbone(parts, units):
    """The encoder of pictures, its parts as its constructor makes them of a published network."""
    net = parts.FSLikeBackbone.__new__(parts.FSLikeBackbone)
    nn.Module.__init__(net)
    net.conv, before = stem(3, SMALL[0]), SMALL[0]
    for k, (count, width, stride) in enumerate(zip(UNITS, SMALL[1:], STRIDES)):
        down = nn.Sequential(units.conv1x1(before, width, stride), nn.BatchNorm2d(width))
        first = units.IBasicBlock(before, width, stride, down)
        setattr(net, f"block_{k + 1}", nn.Sequential(first, *(units.IBasicBlock(width, width) for _ in range(count - 1))))
        before = width
    # The official list of layers, whose block is the same.
    net.content_layer = parts.FeatureEncoderBlock(SMALL[3], CHANNELS[4]).body
    net.avg_pool = nn.AdaptiveAvgPool2d((3, 3))
    net.styles = nn.ModuleList(nn.Linear(sum(SMALL[1:]) * 9, LAST) for _ in range(ROWS))
    return net


class Registry:
    """The official table of methods without its configuration files."""
    def add_to_registry(self, *names, **more):
        return lambda kind: kind


def case(src, out, whole):
    operators = dict(FusedLeakyReLU=Biased, fused_leaky_relu=native_lrelu, upfirdn2d=upfirdn)
    stubs = {"models.psp.stylegan2.op": operators, "models.hyperinverter.stylegan2_ada": dict(Discriminator=None),
             "training.loggers": dict(BaseTimer=None), "utils.class_registry": dict(ClassRegistry=Registry)}
    methods, parts, units, generator = import_from(
        os.path.join(src, "ControlGenAI+StyleFeatureEditor"), "models.methods", "models.psp.encoders.psp_encoders",
        "models.psp.encoders.feature_resnet", "models.psp.stylegan2.model", stubs=stubs)
    channels = CHANNELS[4]
    mixer = lambda: parts.ContentLayerDeepFast(6, 2 * channels, channels)
    inverter = parts.Inverter.__new__(parts.Inverter)
    nn.Module.__init__(inverter)
    inverter.fs_backbone, inverter.fuser = backbone(parts, units), mixer()
    kind = methods.FSEFull if whole else methods.FSEInverter
    net = kind.__new__(kind)
    nn.Module.__init__(net)
    if whole:
        net.encoder, net.inverter = mixer(), inverter
    else:
        net.encoder = inverter
    net.decoder = with_channels(CHANNELS, lambda: generator.Generator(SIZE, LAST, 2), generator)
    names, tensors = filled(net, "state_dict.", {"latent_avg": [1, LAST]})
    net.latent_avg, seen = tensors["latent_avg"], {}
    mixed = net.encoder if whole else inverter.fuser
    mixed.register_forward_hook(lambda m, i, o: seen.update(mixed=o))
    x = hashed((1, 3, 320, 320), 9001, .9)
    with torch.no_grad():
        after, code, *_ = net(x, return_latents=True)
        before, maps = net.decoder([code], input_is_latent=True, return_features=True, randomize_noise=False)
    for name, value in dict(map=maps[9], mixed=seen["mixed"]).items():
        print(name, tuple(value.shape), value.abs().max().item())
    thin = lambda x: x[:, :, ::4, ::4]
    results = dict(code=code, picture0=thin(before), picture1=thin(after), added=thin(seen["mixed"] - maps[9]))
    name = "sfe" if whole else "sfe_inverter"
    write_tensors(os.path.join(out, name + ".safetensors"), results, dict(state=names, opts={}))


if __name__ == "__main__":
    a = parser().parse_args()
    case(a.src, a.out, True)
    case(a.src, a.out, False)
