"""Encoders and recognisers of other people's code, on weights by a formula.

    python encoders.py --src CHECKOUTS --out tests/reference/encoders [--only NAME] [--full]

Each case runs the official forward pass in f64. The official units and heads are made at a few channels where their
constructors take the widths; `--full` makes the networks as they are published, for the tests that run on request. Only
names, shapes and results are stored: the tests have the formula too.
"""
import contextlib
import importlib
import io
import os
import sys
import types

import torch
from torch import nn
from torchvision.models import resnet

from common import parser, write_tensors
from terms import hashed

# Channels of the stem and of the four stages, at a few and as published.
SMALL, PUBLISHED = (16, 16, 16, 32, 64), (64, 64, 128, 256, 512)
STYLES = {SMALL: 8, PUBLISHED: 18}


def stub(name, **content):
    module = types.ModuleType(name)
    module.__dict__.update(content)
    sys.modules[name] = module


def import_from(checkout, *names, stubs={}, **operators):
    """Modules of an official checkout. Their CUDA operators, which no encoder runs, are left out or others; `stubs` are
    further modules with their content."""
    for known in [m for m in sys.modules if m.split(".")[0] in ("models", "criteria", "configs", "utils")]:
        del sys.modules[known]
    sys.path.insert(0, checkout)
    none = lambda *a, **k: None
    stub("models.stylegan2.op", **dict(FusedLeakyReLU=none, fused_leaky_relu=none, upfirdn2d=none) | operators)
    for name, content in stubs.items():
        stub(name, **content)
    found = [importlib.import_module(name) for name in names]
    sys.path.remove(checkout)
    return found


def spread(name, shape):
    """Middle and spread of a trained network's tensor of that name: as in the tests."""
    last, fan = name.split(".")[-1], torch.Size(shape[1:]).numel()
    if last == "running_var":
        return 1, .5
    if last in ("running_mean", "bias", "latent_avg"):
        return 0, .2
    if len(shape) == 1:
        return .6, .4
    return (0, 1) if name.endswith(("linear.weight", ".fc.weight")) else (0, (3 / fan) ** .5)


def by_formula(names):
    """Tensors of these names and shapes, the k-th of the sorted names as tensor k of the formula."""
    out = {}
    for k, name in enumerate(sorted(names)):
        middle, scale = spread(name, names[name])
        numbers = hashed(tuple(names[name]), k, 1) * scale + middle
        out[name] = numbers.float().double()
    return out


def filled(network, root, beside):
    """Gives a network its weights; the tensors of the whole file, where it lies below `root`. Filters stay as they are,
    and what HyperStyle's heads share has one name."""
    left_out = ("num_batches_tracked", "kernel")
    own = {k: list(v.shape) for k, v in network.state_dict().items() if not k.endswith(left_out) and ".hypernet." not in k}
    names = {root + k: v for k, v in own.items()} | beside
    tensors = by_formula(names)
    network.load_state_dict({k: tensors[root + k] for k in own}, strict=False)
    network.double().eval()
    return names, tensors


def published(make):
    """A network as its constructor makes it, without numbers: those of a few channels replace its parts."""
    with torch.device("meta"), contextlib.redirect_stdout(io.StringIO()):
        return make()


def stem(inputs, width):
    return nn.Sequential(nn.Conv2d(inputs, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.PReLU(width))


def body(helpers, layers, unit, widths):
    units, before = [], widths[0]
    for block, width in zip(helpers.get_blocks(layers), widths[1:]):
        for i, bottleneck in enumerate(block):
            units.append(unit(before, width, bottleneck.stride))
            before = width
    return nn.Sequential(*units)


def basic(widths):
    """The units of ResNet-34."""
    units, before = [], widths[0]
    for k, (count, width) in enumerate(zip((3, 4, 6, 3), widths[1:])):
        for i in range(count):
            stride = 2 if k and not i else 1
            other = stride > 1 or before != width
            down = nn.Sequential(nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width)) if other else None
            units.append(resnet.BasicBlock(before, width, stride, down))
            before = width
    return nn.Sequential(*units)


def made(make, helpers, inputs, widths, layers=50, unit="bottleneck_IR_SE"):
    network = published(make)
    network.input_layer = stem(inputs, widths[0])
    network.body = body(helpers, layers, getattr(helpers, unit), widths)
    return network


def save(out, name, names, results, said):
    write_tensors(os.path.join(out, name + ".safetensors"), results, dict(state=names, opts=said))


def recognisers(src, out, widths):
    """IR-SE50 as ArcFace's, IR-101 without gains after its last layer as CurricularFace's."""
    psp = os.path.join(src, "eladrich+pixel2style2pixel")
    irse, helpers, losses = import_from(psp, "models.encoders.model_irse", "models.encoders.helpers", "criteria.id_loss")
    last, size = widths[-1], "" if widths == SMALL else "_full"
    for name, layers, unit, make, affine in [
            ("arcface", 50, "bottleneck_IR_SE", lambda: irse.Backbone(112, 50, "ir_se", .6), True),
            ("curricularface", 100, "bottleneck_IR", lambda: irse.IR_101(112), False)]:
        network = made(make, helpers, 3, widths, layers, unit)
        network.output_layer = nn.Sequential(nn.BatchNorm2d(last), nn.Dropout(.4), helpers.Flatten(),
                                             nn.Linear(last * 49, last), nn.BatchNorm1d(last, affine=affine))
        names, _ = filled(network, "", {})
        face = hashed((1, 3, 112, 112), 9001, .9).requires_grad_()
        embedding = network(face)
        gradient, = torch.autograd.grad((embedding * hashed((1, last), 9002, 1)).sum(), face)
        loss = losses.IDLoss.__new__(losses.IDLoss)
        nn.Module.__init__(loss)
        loss.facenet, loss.face_pool = network, nn.AdaptiveAvgPool2d((112, 112))
        pool = nn.AdaptiveAvgPool2d((256, 256))
        with torch.no_grad():
            whole = loss.extract_feats(pool(hashed((1, 3, 300, 280), 9003, .9)))
        save(out, name + size, names, dict(embedding=embedding, gradient=nn.functional.avg_pool2d(gradient, 7), whole=whole), {})


def styles(heads, count, width, fpn):
    spatial = lambda i: 16 if i < 3 or not fpn else 32 if i < 7 else 64
    return nn.ModuleList(heads.GradualStyleBlock(width, width, spatial(i)) for i in range(count))


def encoder(out, name, network, side, inputs, widths, said):
    """The code of one picture: what the encoder says and the mean of the file."""
    rows, last = STYLES[widths], widths[-1]
    mean = [1, last] if said.get("learn_in_w") else [rows, last]
    names, tensors = filled(network, "state_dict.encoder.", {"latent_avg": mean})
    x = hashed((1, inputs, side, side), 9001, .9)
    with torch.no_grad():
        said_code = network(x)
    save(out, name + ("" if widths == SMALL else "_full"), names,
         dict(said=said_code, code=said_code + tensors["latent_avg"]), said)


def encoders(src, out, widths, only):
    rows, last = STYLES[widths], widths[-1]
    side = 64 if widths == SMALL else 256
    size = 2 ** (rows // 2 + 1)
    common = dict(start_from_latent_avg=True, learn_in_w=False, output_size=size, stylegan_size=size, n_styles=rows)

    def fpn(network, heads):
        network.styles = styles(heads, rows, last, True)
        network.latlayer1, network.latlayer2 = nn.Conv2d(widths[3], last, 1), nn.Conv2d(widths[2], last, 1)

    def run(name, path, module, kind, inputs, change, heads=None, args=lambda o: (o,), extra={}):
        if only and only != name:
            return
        checkout = os.path.join(src, path)
        encoders, heads, helpers = import_from(checkout, module, heads or module, "models.encoders.helpers")
        said = common | extra | dict(encoder_type=kind, input_nc=inputs)
        make = lambda: getattr(encoders, kind)(50, "ir_se", *args(types.SimpleNamespace(**said)))
        network = made(make, helpers, inputs, widths)
        change(network, heads)
        encoder(out, name, network, side, inputs, widths, said)

    psp, module = "eladrich+pixel2style2pixel", "models.encoders.psp_encoders"
    run("psp", psp, module, "GradualStyleEncoder", 3, fpn)
    run("e4e", "omertov+encoder4editing", module, "Encoder4Editing", 3, fpn)

    def one(network, heads):
        network.linear = heads.EqualLinear(last, last, lr_mul=1)
    # `forward` writes the published width: it fits a few channels only where that is replaced.
    if widths == PUBLISHED:
        run("psp_w", psp, module, "BackboneEncoderUsingLastLayerIntoW", 3, one, extra=dict(learn_in_w=True))
    restyle, heads = "yuval-alaluf+restyle-encoder", "models.encoders.map2style"
    flat = lambda network, heads: setattr(network, "styles", styles(heads, rows, last, False))
    both = lambda o: (rows, o)
    run("restyle_psp", restyle, "models.encoders.restyle_psp_encoders", "BackboneEncoder", 6, flat, heads, both)
    run("restyle_e4e", restyle, "models.encoders.restyle_e4e_encoders", "ProgressiveBackboneEncoder", 6, flat, heads, both)
    if only in (None, "restyle_resnet"):
        encoders, heads = import_from(os.path.join(src, restyle), "models.encoders.restyle_psp_encoders", heads)
        encoders.resnet34 = lambda pretrained: resnet.resnet34(weights=None)
        said = common | dict(encoder_type="ResNetBackboneEncoder", input_nc=6)
        network = published(lambda: encoders.ResNetBackboneEncoder(rows, types.SimpleNamespace(**said)))
        network.conv1, network.bn1 = nn.Conv2d(6, widths[0], 7, 2, 3, bias=False), nn.BatchNorm2d(widths[0])
        network.relu, network.body = nn.PReLU(widths[0]), basic(widths)
        flat(network, heads)
        encoder(out, "restyle_resnet", network, side, 6, widths, said)
        heads = "models.encoders.map2style"
    run("restyle_fpn", restyle, "models.encoders.fpn_encoders", "GradualStyleEncoder", 6, fpn, heads, both)


def e2style(src, out, widths):
    """The first pass and one that corrects it. `forward` writes the published width of a code."""
    encoders, helpers = import_from(os.path.join(src, "wty-ustc+e2style"), "models.encoders.backbone_encoders", "models.encoders.helpers")
    said = dict(start_from_latent_avg=True, learn_in_w=False, n_styles=18, training_stage=2)
    whole = nn.Module()
    for name, kind, inputs in [("encoder_firststage", "BackboneEncoderFirstStage", 3), ("encoder_refinestage_list", "BackboneEncoderRefineStage", 6)]:
        one = made(lambda: getattr(encoders, kind)(50, "ir_se", types.SimpleNamespace(input_nc=3)), helpers, inputs, widths)
        one.modulelist = list(one.body)
        for layer, channels, rows in [(3, widths[3], 9), (4, widths[2], 5), (5, widths[1], 4)]:
            setattr(one, f"output_layer_{layer}", nn.Sequential(
                nn.BatchNorm2d(channels), nn.AdaptiveAvgPool2d((7, 7)), helpers.Flatten(), nn.Linear(channels * 49, 512 * rows)))
        whole.add_module(name, one if inputs == 3 else nn.ModuleList([one]))
    names, tensors = filled(whole, "state_dict.", {"latent_avg": [18, 512]})
    x, y = hashed((1, 3, 64, 64), 9001, .9), hashed((1, 3, 64, 64), 9002, .9)
    with torch.no_grad():
        first = whole.encoder_firststage(x)
        save(out, "e2style", names, dict(said=first, code=first + tensors["latent_avg"], step=whole.encoder_refinestage_list[0](x, y)), said)


def idinvert(src, out):
    network, = import_from(os.path.join(src, "genforce+idinvert_pytorch"), "models.stylegan_encoder_network")
    encoder = network.StyleGANEncoderNet(32, w_space_dim=20, encoder_channels_base=8, encoder_channels_max=24, use_bn=True)
    names, _ = filled(encoder, "", {})
    with torch.no_grad():
        code = encoder(hashed((2, 3, 32, 32), 9001, .9)).view(2, 8, 20)
    save(out, "idinvert", names, dict(said=code, code=code), dict(n_styles=8))


if __name__ == "__main__":
    p = parser()
    p.add_argument("--only")
    p.add_argument("--full", action="store_true")
    a = p.parse_args()
    os.makedirs(a.out, exist_ok=True)
    widths = PUBLISHED if a.full else SMALL
    if a.only in (None, "recognisers"):
        recognisers(a.src, a.out, widths)
    if a.only in (None, "e2style") and not a.full:
        e2style(a.src, a.out, widths)
    if a.only in (None, "idinvert") and not a.full:
        idinvert(a.src, a.out)
    if a.only != "recognisers":
        encoders(a.src, a.out, widths, a.only)
