"""StyleGAN3 pickles from our own writer: the structure of the official ones, none of their source.

    python stylegan3_pkl.py --cases tests/reference/stylegan3

Writes CASE.pkl beside CASE.safetensors for two of the cases of stylegan3.py. Attributes are those that the official
modules keep, with the types that they have there: numpy scalars and arrays among them, identity filters as None.
"""
import argparse
import json
import os
import pickle

import numpy as np
from safetensors import safe_open

from make_pkl import Names, Writer

# name: protocol, whether the recipe names what the configuration has (a training script does so, a default does not)
FIXTURES = {"sg3_t_16": 4, "sg3_r_32_c3": 5}
RECIPE = ("num_layers", "num_critical", "first_cutoff", "first_stopband", "last_stopband_rel", "margin_size",
          "output_scale", "filter_size", "lrelu_upsampling", "conv_clamp")


class Writer3(Writer):
    """The modules of stylegan3; what it shares with stylegan2-ada is inherited."""

    def present(self, w, prefix, names):
        """Parameters or buffers that may be None: only those with numbers are tensors."""
        return [n for n in names if prefix + n in w]

    def buffers(self, w, prefix, names):
        _, b = self.tensors(w, prefix, [], self.present(w, prefix, names))
        found = dict(b)
        return [(n, found.get(n)) for n in names]

    def input(self, w):
        pre = "synthesis.input."
        channels, w_dim = w[pre + "weight"].shape[0], self.cfg["w_dim"]
        p, _ = self.tensors(w, pre, ["weight"])
        b = self.buffers(w, pre, ["transform", "freqs", "phases"])
        affine = self.fc(w, pre + "affine.", "linear", 1)
        return self.module("SynthesisInput", p, b, [("affine", affine)], dict(
            w_dim=w_dim, channels=channels, size=np.array([self.first, self.first]), sampling_rate=np.float64(16),
            bandwidth=np.float64(self.cfg["first_cutoff"])), (), dict(w_dim=w_dim, channels=channels))

    def synthesis_layer(self, w, name, last):
        pre, side = f"synthesis.{name}.", int(name.split("_")[1])
        o, i, k, _ = w[pre + "weight"].shape
        p, _ = self.tensors(w, pre, ["weight", "bias"])
        b = self.buffers(w, pre, ["magnitude_ema", "up_filter", "down_filter"])
        kept = dict(w_dim=self.cfg["w_dim"], is_torgb=last, is_critically_sampled=np.bool_(last), use_fp16=np.bool_(False),
                    in_channels=i, out_channels=o, out_size=np.array([side, side]), in_cutoff=np.float64(2.5),
                    conv_kernel=k, conv_clamp=self.cfg["conv_clamp"], padding=[9, 8, 9, 8])
        return self.module("SynthesisLayer", p, b, [("affine", self.fc(w, pre + "affine.", "linear", 1))], kept, (), kept)

    def generator(self, w):
        c, E = self.cfg, self.names.easydict
        names = sorted({k.split(".")[1] for k in w if k.startswith("synthesis.L")}, key=lambda n: int(n[1:].split("_")[0]))
        self.first = int(names[0].split("_")[1])
        layers = [("input", self.input(w))]
        layers += [(n, self.synthesis_layer(w, n, n == names[-1])) for n in names]
        recipe = {k: c[k] for k in RECIPE}
        size = dict(w_dim=c["w_dim"], img_resolution=c["img_resolution"], img_channels=c["img_channels"])
        # Of the recipe, the network itself keeps these alone.
        kept = {k: c[k] for k in ("num_layers", "num_critical", "margin_size", "output_scale")}
        synthesis = self.module("SynthesisNetwork", (), (), layers, dict(
            **size, num_ws=c["num_ws"], **kept, num_fp16_res=4, layer_names=names), (), {**size, **recipe})
        fcs = [("embed", self.fc(w, "mapping.embed.", "linear", 1))] if c["c_dim"] else []
        fcs += [(f"fc{i}", self.fc(w, f"mapping.fc{i}.", "lrelu", c["mapping_lr_multiplier"])) for i in range(c["mapping_layers"])]
        _, b = self.tensors(w, "mapping.", [], ["w_avg"])
        dims = dict(z_dim=c["z_dim"], c_dim=c["c_dim"], w_dim=c["w_dim"])
        mapping = self.module("MappingNetwork", (), b, fcs, dict(
            **dims, num_ws=c["num_ws"], num_layers=c["mapping_layers"], w_avg_beta=0.998), (),
            dict(**dims, num_ws=c["num_ws"], num_layers=c["mapping_layers"]))
        return self.module("Generator", (), (), [("synthesis", synthesis), ("mapping", mapping)], dict(
            **dims, img_resolution=c["img_resolution"], img_channels=c["img_channels"], num_ws=c["num_ws"]), (), dict(
            **dims, img_resolution=c["img_resolution"], img_channels=c["img_channels"],
            mapping_kwargs=E(num_layers=c["mapping_layers"]), **recipe))


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--cases", required=True)
    a = a.parse_args()
    for case, protocol in FIXTURES.items():
        path = os.path.join(a.cases, case)
        with safe_open(path + ".safetensors", "pt") as f:
            cfg = json.loads(f.metadata()["gannet"])["config"]
            weights = {k: f.get_tensor(k) for k in f.keys() if not k.startswith("ref.")}
        with Names() as names:
            w = Writer3(names, cfg, 0, 0, True)
            g = w.generator(weights)
            blob = pickle.dumps(dict(training_set_kwargs=None, G=None, D=None, G_ema=g, augment_pipe=None), protocol=protocol)
        assert set(w.written) == set(weights), set(w.written) ^ set(weights)
        with open(path + ".pkl", "wb") as f:
            f.write(blob)
        print(f"{len(blob):>9}  {path}.pkl")


if __name__ == "__main__":
    main()
