"""GH-Feat's encoder on weights by a formula.

    python ghfeat.py --src CHECKOUTS --out tests/reference/encoders

Its official code is written for TensorFlow 1, which no longer installs. Here it runs on a small stand-in for the operators
that it calls, in f64 and by PyTorch; `SAME` pads as TensorFlow says (the larger half behind). The networks have few channels
and read 128². The styles are what the official generator's `style_mod` makes of the found codes: scales, then shifts of
every layer. `pickle` is a file of four tiny networks as the official code saves them, of which the first is the encoder.
"""
import contextlib
import os
import pickle
import sys
import types

import numpy as np
import torch
import torch.nn.functional as F

from common import parser, write_tensors
from encoders import by_formula, stub
from progressive import network, network_class
from terms import hashed

SIDE, WIDTHS, LAST, MIXED = 128, {18: [4, 4, 6, 8, 8], 50: [4, 8, 8, 12, 12]}, 16, 6
CHANNELS = [512] * 8 + [256] * 2 + [128] * 2 + [64] * 2


class Dim(int):
    value = property(int)


class Shape(tuple):
    ndims = property(len)


class Tensor:
    """A tensor with the shape and the arithmetic of TensorFlow's."""
    def __init__(self, data):
        self.data = data

    dtype = property(lambda self: self.data.dtype)
    device = property(lambda self: None)
    shape = property(lambda self: Shape(Dim(s) for s in self.data.shape))
    get_shape = lambda self: self.shape
    set_shape = lambda self, shape: None
    __getitem__ = lambda self, at: Tensor(self.data[at])
    __add__ = lambda self, other: Tensor(self.data + raw(other))
    __mul__ = __rmul__ = lambda self, other: Tensor(self.data * raw(other))


def raw(x):
    return x.data if isinstance(x, Tensor) else x


class Operators:
    """The variables of a network, and the operators that it calls. Without given variables it notes which it wants."""
    float32 = "float32"
    GraphKeys = types.SimpleNamespace(MOVING_AVERAGE_VARIABLES="", MODEL_VARIABLES="", GLOBAL_VARIABLES="")

    def __init__(self, given):
        self.given, self.names, self.scopes = given, {}, []
        self.nn = types.SimpleNamespace(conv2d=self.conv2d, avg_pool=self.avg_pool, max_pool=self.max_pool,
                                        batch_normalization=self.batch_normalization)
        none = lambda *a, **k: None
        self.random_normal_initializer = self.zeros_initializer = self.ones_initializer = self.constant_initializer = none

    @contextlib.contextmanager
    def variable_scope(self, name, *rest, **more):
        self.scopes.append(name)
        yield
        self.scopes.pop()

    name_scope = variable_scope

    def get_variable(self, name, shape, **more):
        name, shape = "/".join([*self.scopes, name]), [int(s) for s in shape]
        assert name not in self.names, name
        self.names[name] = shape
        return Tensor(self.given[name] if self.given else torch.zeros(shape, dtype=torch.float64))

    cast = convert_to_tensor = staticmethod(lambda x, *a: x)
    constant = staticmethod(lambda x, **k: x)
    shape = staticmethod(lambda x: list(x.shape))
    matmul = staticmethod(lambda a, b: Tensor(a.data @ b.data))
    maximum = staticmethod(lambda a, b: Tensor(torch.maximum(torch.as_tensor(raw(a), dtype=raw(b).dtype), raw(b))))
    reshape = staticmethod(lambda x, shape: Tensor(x.data.reshape([int(s) for s in shape])))
    tile = staticmethod(lambda x, times: Tensor(x.data.repeat(*times)))
    concat = staticmethod(lambda parts, axis: Tensor(torch.cat([p.data for p in parts], axis)))

    @staticmethod
    def same(x, size, stride, value):
        """Borders as `SAME` wants them."""
        pads = []
        for side in reversed(x.shape[2:]):
            whole = max((-(-side // stride) - 1) * stride + size - side, 0)
            pads += [whole // 2, whole - whole // 2]
        return F.pad(x, pads, value=value)

    def conv2d(self, x, w, strides, padding, data_format):
        assert (padding, data_format) == ("SAME", "NCHW")
        x = self.same(x.data, w.data.shape[0], strides[2], 0.)
        return Tensor(F.conv2d(x, w.data.permute(3, 2, 0, 1), stride=strides[2]))

    def max_pool(self, x, ksize, strides, padding, data_format):
        assert (padding, data_format) == ("SAME", "NCHW")
        return Tensor(F.max_pool2d(self.same(x.data, ksize[2], strides[2], -float("inf")), ksize[2], strides[2]))

    @staticmethod
    def avg_pool(x, ksize, strides, padding, data_format):
        assert (padding, data_format) == ("VALID", "NCHW")
        return Tensor(F.avg_pool2d(x.data, ksize[2], strides[2]))

    @staticmethod
    def batch_normalization(x, mean, variance, offset, scale, variance_epsilon):
        return Tensor((x.data - mean.data) / (variance.data + variance_epsilon).sqrt() * scale.data + offset.data)


def imported(checkout):
    """The official modules of encoder and generator."""
    for name in ["contrib", "contrib.nccl", "contrib.nccl.python", "contrib.nccl.python.ops", "python", "python.training"]:
        stub("tensorflow." + name)
    stub("tensorflow")
    stub("tensorflow.contrib.nccl.python.ops.nccl_ops", _validate_and_load_nccl_so=lambda: None)
    stub("tensorflow.contrib.nccl.ops", gen_nccl_ops=None)
    stub("tensorflow.python.training.moving_averages")
    sys.modules["tensorflow.python.training"].moving_averages = None
    stub("dnnlib", EasyDict=dict)
    stub("dnnlib.tflib")
    sys.path.insert(0, checkout)
    import training.networks_ghfeat as encoder
    import training.networks_stylegan as generator
    return encoder, generator


def narrow(encoder, depth):
    """Fewer channels, where the code has numbers in place of arguments."""
    whole, unit, fpn, sam = encoder.resnet_backbone, encoder.residual_unit, encoder.fpn, encoder.sam
    encoder.resnet_backbone = lambda **k: whole(**k | dict(filter_list=WIDTHS[depth]))
    encoder.residual_unit = lambda **k: unit(**k | dict(num_filter=LAST if k["num_filter"] == 2048 else k["num_filter"]))
    encoder.fpn = lambda inputs, start_level, fout: fpn(inputs, start_level, fout=MIXED)
    encoder.sam = lambda inputs, fout: sam(inputs, fout=MIXED)


def styles(generator, codes):
    """Scales and shifts of every layer, as its maps of zeros and ones tell them."""
    out = []
    for layer, channels in enumerate(CHANNELS):
        at = lambda value: generator.style_mod(Tensor(torch.full((1, channels, 1, 1), value, dtype=torch.float64)), codes[:, layer])
        shift = at(0.).data
        out += [(at(1.).data - shift - 1).flatten(1), shift.flatten(1)]
    return torch.cat(out, 1)


def case(checkout, out, depth, step):
    encoder, generator = imported(checkout)
    originals = {k: getattr(encoder, k) for k in ("resnet_backbone", "residual_unit", "fpn", "sam")}
    narrow(encoder, depth)
    x, found = Tensor(hashed((1, 3, SIDE, SIDE), 9001, .9)), None
    tensors = None
    for _ in range(2):
        operators = Operators(tensors)
        encoder.tf = generator.tf = operators
        codes = encoder.Encoder(x, size=SIDE, depth=depth, is_training=False)
        tensors = by_formula(operators.names)
    for name, value in originals.items():
        setattr(encoder, name, value)
    all = styles(generator, codes)
    print(tuple(all.shape), all.abs().max().item(), all.std().item())
    write_tensors(os.path.join(out, f"ghfeat_{depth}.safetensors"), dict(styles=all[:, ::step]),
                  dict(state=operators.names, opts=dict(step=step)))


def tiny(out):
    """Four networks, each with one variable that names it."""
    cls = network_class("dnnlib.tflib.network")
    one = lambda name, function: network(cls, 3, name, function, {}, [(f"{name}/weight", np.zeros(2))])
    nets = one("E_gpu0", "Encoder"), one("G", "G_style"), one("D", "D_basic"), one("Gs", "G_style")
    path = os.path.join(out, "ghfeat.pkl")
    with open(path, "wb") as f:
        pickle.dump(nets, f, 4)
    print(f"{os.path.getsize(path):>9}  {path}")


if __name__ == "__main__":
    a = parser().parse_args()
    checkout = os.path.join(a.src, "genforce+ghfeat")
    tiny(a.out)
    case(checkout, a.out, 18, 4)
    case(checkout, a.out, 50, 16)
