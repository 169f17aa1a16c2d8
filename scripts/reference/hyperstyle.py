"""HyperStyle: its hypernetwork and its generator, on weights by a formula.

    python hyperstyle.py --src CHECKOUTS --out tests/reference/encoders [--full]

The official forward pass in f64: a code, then two passes of the hypernetwork that change the generator's weights. The
generator has few channels and 16² pixels; its pictures are grown to the 256² of the hypernetwork linearly, as gannet
grows them, where the official code would pool larger ones. Only names, shapes and results are stored. `--full` runs the
hypernetwork as it is published, for a test that runs on request.
"""
import os
import types

import torch
from torch import nn
from torchvision.models import resnet

from common import parser, write_tensors
from encoders import SMALL, basic, body, filled, import_from, published, stem, stub
from stylegan2_layouts import native_lrelu, with_channels
from terms import hashed

SIZE, STYLES, CHANNELS = 16, 8, (6, 6, 5)
ROWS = 6
# Heads of the convolutions behind the first, by their official numbers: kernel, inputs, outputs.
TUNED = {2: [3, 6, 6], 3: [3, 6, 6], 5: [3, 6, 5], 6: [3, 5, 5]}
SHARED = (2, 3)


class Biased(nn.Module):
    """The generator's activation without its CUDA operator."""
    def __init__(self, channel, negative_slope=.2, scale=2 ** .5):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channel))

    def forward(self, x):
        return native_lrelu(x, self.bias)


def upfirdn(x, kernel, up=1, down=1, pad=(0, 0)):
    """Zeros between the pixels, a border of zeros, a filter; the generator never shrinks here."""
    assert down == 1
    n, c, h, w = x.shape
    wide = x.new_zeros(n, c, h, up, w, up)
    wide[:, :, :, 0, :, 0] = x
    wide = nn.functional.pad(wide.reshape(n * c, 1, h * up, w * up), (pad[0], pad[1]) * 2)
    return nn.functional.conv2d(wide, kernel.flip(0, 1)[None, None].to(x)).reshape(n, c, *[
        s + sum(pad) - kernel.shape[0] + 1 for s in (h * up, w * up)])


def modules(checkout):
    """The official modules with operators that run anywhere."""
    stub("matplotlib", use=lambda name: None)
    names = ["models.hypernetworks.hypernetwork", "models.hypernetworks.refinement_blocks",
             "models.hypernetworks.shared_weights_hypernet", "models.stylegan2.model", "models.hyperstyle",
             "models.encoders.helpers"]
    return import_from(checkout, *names, FusedLeakyReLU=Biased, fused_leaky_relu=native_lrelu, upfirdn2d=upfirdn)


def hypernetwork(hyper, blocks, sharing, separable):
    """The official network with the units of a few channels."""
    hyper.resnet34 = lambda pretrained: resnet.resnet34(weights=None)
    blocks.PARAMETERS.update(TUNED)
    kind = "SharedWeightsHyperNetResNet" + ("Separable" if separable else "")
    opts = types.SimpleNamespace(input_nc=6, layers_to_tune="", n_hypernet_outputs=1)
    network = published(lambda: getattr(hyper, kind)(opts))
    first, last = SMALL[0], SMALL[-1]
    network.conv1, network.bn1 = nn.Conv2d(6, first, 7, 2, 3, bias=False), nn.BatchNorm2d(first)
    network.relu, network.body = nn.PReLU(first), basic(SMALL)
    mode = "delta_per_channel" if separable else None
    shared = sharing.SharedWeightsHypernet(in_size=6, out_size=6, z_dim=512, mode=mode)
    network.shared_weight_hypernet = shared
    one = blocks.RefinementBlockSeparable if separable else blocks.RefinementBlock

    def head(k):
        if k in SHARED:
            return blocks.HyperRefinementBlock(shared, n_channels=last, inner_c=8)
        return one(k, opts, n_channels=last, inner_c=8) if k in TUNED else None
    network.n_outputs = 8
    network.refinement_blocks = nn.ModuleList(head(k) for k in range(network.n_outputs))
    return network, kind


def w_encoder(helpers, generator):
    """The parts of the official encoder into W, which writes the published width in its pass."""
    network = nn.Module()
    network.input_layer, network.body = stem(3, SMALL[0]), body(helpers, 50, helpers.bottleneck_IR_SE, SMALL)
    network.linear = generator.EqualLinear(SMALL[-1], STYLES, lr_mul=1)
    network.style_count = ROWS
    network.forward = lambda x: network.linear(network.body(network.input_layer(x)).mean((2, 3)))[:, None].repeat(1, ROWS, 1)
    return network


def case(src, out, name, separable):
    found = modules(os.path.join(src, "yuval-alaluf+hyperstyle"))
    hyper, blocks, sharing, generator, whole, helpers = found
    network, kind = hypernetwork(hyper, blocks, sharing, separable)
    net = whole.HyperStyle.__new__(whole.HyperStyle)
    nn.Module.__init__(net)
    net.hypernet = network
    net.decoder = with_channels(CHANNELS, lambda: generator.Generator(SIZE, STYLES, 2), generator)
    said = dict(encoder_type=kind, n_iters_per_batch=2, dataset_type="ffhq_encode", output_size=SIZE, n_styles=ROWS,
                w_encoder_checkpoint_path="/a/folder/hyperstyle_w.safetensors")
    names, tensors = filled(net, "state_dict.", {"latent_avg": [1, STYLES]})
    net.opts, net.latent_avg = types.SimpleNamespace(load_w_encoder=True, **said), tensors["latent_avg"]
    net.face_pool = lambda x: nn.functional.interpolate(x, (256, 256), mode="bilinear")
    net.w_encoder = w_encoder(helpers, generator)
    encoder_names, _ = filled(net.w_encoder, "state_dict.encoder.", {"latent_avg": [1, STYLES]})
    x = hashed((2, 3, 256, 256), 9001, .9)
    results, y, codes, deltas = {}, None, None, None
    with torch.no_grad():
        for step in range(2):
            y, _, deltas, codes, before = net(x, y_hat=y, codes=codes, weights_deltas=deltas, resize=False, randomize_noise=False,
                                              return_latents=True, return_weight_deltas_and_codes=True)
            results |= {f"picture{step + 1}": y} | {f"gain{step + 1}.{k}": deltas[k] for k in TUNED}
            y = net.face_pool(y)
        plain, _ = net.decoder([codes], input_is_latent=True, randomize_noise=False)
    results |= dict(code=codes, picture0=plain)
    for k in TUNED:
        print(k, results[f"gain2.{k}"].abs().max().item(), results[f"gain2.{k}"].std().item())
    write_tensors(os.path.join(out, name + ".safetensors"), results, dict(state=names, opts=said))
    write_tensors(os.path.join(out, "hyperstyle_w.safetensors"), dict(said=codes), dict(state=encoder_names, opts=dict(encoder_type="WEncoder", n_styles=ROWS)))


def full(src, out):
    """All gains of the published network for a generator of 1024², every 64th pair of channels."""
    hyper, *_ = modules(os.path.join(src, "yuval-alaluf+hyperstyle"))
    hyper.resnet34 = lambda pretrained: resnet.resnet34(weights=None)
    tuned = [k for k in range(26) if k % 3 != 1]
    opts = types.SimpleNamespace(input_nc=6, layers_to_tune=",".join(map(str, tuned)), n_hypernet_outputs=26)
    network = hyper.SharedWeightsHyperNetResNet(opts)
    names, _ = filled(network, "state_dict.hypernet.", {"latent_avg": [18, 512]})
    with torch.no_grad():
        gains = network(hashed((1, 6, 256, 256), 9001, .9))
    results = {f"gain.{k}": gains[k][:, ::64, ::64, ::2, ::2].clone() for k in tuned}
    said = dict(encoder_type="SharedWeightsHyperNetResNet", n_styles=18)
    write_tensors(os.path.join(out, "hyperstyle_full.safetensors"), results, dict(state=names, opts=said))


if __name__ == "__main__":
    p = parser()
    p.add_argument("--full", action="store_true")
    a = p.parse_args()
    torch.Tensor.cuda = lambda self: self
    if a.full:
        full(a.src, a.out)
    else:
        case(a.src, a.out, "hyperstyle", False)
        case(a.src, a.out, "hyperstyle_separable", True)
