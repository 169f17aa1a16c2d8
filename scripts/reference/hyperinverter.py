"""HyperInverter: its encoders, its hypernetwork and its generator, on weights by a formula.

    python hyperinverter.py --src CHECKOUTS --out tests/reference/encoders

The official forward pass: a code of W, then what is added to the weights of StyleGAN2-ADA. The encoders have few
channels, the generator has 32² pixels and few features. Of the two kinds of encoders (faces, other things) each is a case.
Only names, shapes and results are stored; the generator is a case of its own, as the checkpoint does not hold it.
"""
import os
import types

import torch
from torch import nn
from torchvision.models import resnet

from common import parser, write_tensors
from encoders import SMALL, basic, body, by_formula, filled, import_from, published, stem
from terms import hashed

SIZE, FEATURES, MOST, INNER = 32, 160, 8, 3
ROWS, LAST = 8, SMALL[-1]
AFFINE = ["b4.torgb.affine.weight", "b8.conv0.affine.weight", "b32.torgb.affine.weight"]


def generator(ada):
    """The official generator, and the names of its tensors in a file."""
    network = ada.Generator(z_dim=8, c_dim=0, w_dim=LAST, img_resolution=SIZE, img_channels=3,
                            mapping_kwargs=dict(num_layers=2), synthesis_kwargs=dict(channel_base=FEATURES, channel_max=MOST))
    names = {k: list(v.shape) for k, v in network.state_dict().items() if not k.endswith("resample_filter")}
    network.load_state_dict(by_formula(names), strict=False)
    return network.eval(), names


def resnet_body(network):
    network.conv1, network.bn1 = nn.Conv2d(3, SMALL[0], 7, 2, 3, bias=False), nn.BatchNorm2d(SMALL[0])
    network.relu, network.body = nn.PReLU(SMALL[0]), basic(SMALL)


def ir_body(network, helpers):
    network.input_layer, network.body = stem(3, SMALL[0]), body(helpers, 50, helpers.bottleneck_IR_SE, SMALL)


def encoders(fpn, helpers, faces):
    """The encoder into W, which writes the published width in its pass, and the one into features."""
    opts = types.SimpleNamespace(n_styles=ROWS)
    code = nn.Module()
    if faces:
        features = published(lambda: fpn.LayerWiseEncoder(50, "ir_se", opts))
        ir_body(code, helpers), ir_body(features, helpers)
        first = lambda x: code.input_layer(x)
    else:
        features = published(lambda: fpn.ResNetLayerWiseEncoder(opts))
        resnet_body(code), resnet_body(features)
        first = lambda x: code.relu(code.bn1(code.conv1(x)))
    code.linear = fpn.EqualLinear(LAST, LAST, lr_mul=1)
    code.forward = lambda x: code.linear(code.body(first(x)).mean((2, 3)))
    pools = lambda i: 1 if i < 3 else 2 if i < 7 else 3
    features.styles = nn.ModuleList(fpn.StyleBlock(LAST, LAST, pools(i)) for i in range(ROWS))
    features.latlayer1, features.latlayer2 = nn.Conv2d(SMALL[3], LAST, 1), nn.Conv2d(SMALL[2], LAST, 1)
    # The generator computes in f32.
    features.register_forward_pre_hook(lambda m, given: (given[0].double(),))
    return code, features


def case(src, out, faces):
    whole, fpn, helpers, hyper, shapes, ada = import_from(
        os.path.join(src, "VinAIResearch+HyperInverter"), "models.hyper_inverter", "models.encoders.fpn_encoders",
        "models.encoders.helpers", "models.hypernetwork", "models.weight_shapes", "models.stylegan2_ada")
    fpn.resnet34 = lambda pretrained: resnet.resnet34(weights=None)
    decoder, decoder_names = generator(ada)
    own = decoder.synthesis.state_dict()
    table = shapes.STYLEGAN2_ADA_ALL_WEIGHT_WITHOUT_BIAS_SHAPES
    kept = shapes.STYLEGAN2_ADA_CONV_WEIGHT_WITHOUT_BIAS_WITHOUT_TO_RGB_SHAPES
    if faces:
        # The published networks change convolutions and colours; some affine layers besides.
        kept = [*shapes.STYLEGAN2_ADA_CONV_WEIGHT_WITHOUT_BIAS_SHAPES, *AFFINE]
    target = {k: dict(shape=own[k].shape, w_idx=table[k]["w_idx"]) for k in kept if k in own}
    net = whole.HyperInverter.__new__(whole.HyperInverter)
    nn.Module.__init__(net)
    net.w_encoder, net.w_bar_encoder = encoders(fpn, helpers, faces)
    net.hypernet = hyper.Hypernetwork(input_dim=LAST, hidden_dim=INNER, target_shape=target)
    names, _ = filled(net, "state_dict.", {})
    net.decoder, net.latent_avg = [decoder] * 2, decoder.mapping.w_avg.double()[None]
    x = hashed((2, 3, 256, 256), 9001, .9)
    with torch.no_grad():
        before, after, deltas, codes = net(x, return_latents=True)
    thin = lambda picture: picture[:, :, ::2, ::2]
    results = dict(code=codes[:, :1], picture0=thin(before), picture1=thin(after))
    # The changes of the first picture.
    results |= {f"delta.{k}": v[:1] for k, v in deltas.items()}
    for k, v in deltas.items():
        print(k, list(v.shape), v.abs().max().item())
    said = dict(encoder_type="LayerWiseEncoder" if faces else "ResNetLayerWiseEncoder", output_size=SIZE, hidden_dim=INNER,
                dataset_type="ffhq_encode" if faces else "church_encode", n_styles=ROWS)
    name = "hyperinverter" if faces else "hyperinverter_resnet"
    write_tensors(os.path.join(out, name + ".safetensors"), results, dict(state=names, opts=said))
    z = hashed((1, 8), 9002, .9).float()
    with torch.no_grad():
        picture = decoder(z, None, noise_mode="const")
    write_tensors(os.path.join(out, "hyperinverter_g.safetensors"), dict(picture=picture), dict(state=decoder_names, opts={}))


if __name__ == "__main__":
    a = parser().parse_args()
    case(a.src, a.out, True)
    case(a.src, a.out, False)
