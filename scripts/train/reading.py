"""What the generator's training asks of the attribute network about a picture and its original.

A smile, a brow or an eyelid is a few pixels: in a mean over the picture it weighs nothing. So the
network's readings of both pictures are compared, and the pixels around the features of the face
once more.
"""

import torch

from attributes import LANDMARKS, NAMES, load_attributes
from likeness import pixel_loss

BOUND = 4.0  # logits and standardised values count up to here
LOGIT_SCALE = 1 / 3  # brings a bounded logit to the spread of a standardised value
MARKED = (0, 1, 3, 4)  # of the five landmarks: eyes and corners of the mouth
REACH = 0.07  # width of the window around a landmark, in sides of the picture


def weights(outputs, stressed):
    """One weight an output [outputs], its mean over all outputs without stress being 1.

    Values count by how well the network reads them (R^2), logits by their spread; `stressed`
    multiplies that by name.
    """
    unknown = set(stressed) - set(NAMES)
    if unknown:
        raise SystemExit(f"no such outputs of the attribute network: {', '.join(sorted(unknown))}")
    values = [
        max(0.0, o["score"]["value"]) if o["kind"] == "regression" else LOGIT_SCALE**2
        for o in outputs
    ]
    factors = torch.tensor([stressed.get(o["name"], 1.0) for o in outputs])
    plain = torch.tensor(values)
    return plain / plain.mean() * factors


class Reading:
    """The fixed attribute network, as a loss."""

    def __init__(self, path, device, stressed):
        self.net, outputs = load_attributes(path, device)
        self.net.requires_grad_(False)
        self.weights, self.plain = (weights(outputs, s).to(device) for s in (stressed, {}))
        points = torch.tensor([[outputs[i]["mean"], outputs[i]["std"]] for i in LANDMARKS])
        self.mean, self.std = points.to(device).unbind(1)

    def raw(self, pictures):
        """Raw outputs [N, outputs] of pictures [N, 3, R, R] in [-1, 1], in f32."""
        with torch.autocast(pictures.device.type, torch.bfloat16):
            return self.net(pictures).float()

    @staticmethod
    def disguised(fake, real):
        """Both without colour in a random half of the pairs, and which [N]."""
        grey = torch.rand(len(real), device=real.device) < 0.5
        pale = (torch.where(grey[:, None, None, None], x.mean(1, keepdim=True), x) for x in (fake, real))
        return *pale, grey

    def difference(self, fake, truth, grey):
        """Weighted mean squared difference of the readings `truth` [N, outputs] and of `fake`.

        Stress is on the pairs without colour alone: in colour the network is deceived by it, and
        lips turn blue that should show teeth.
        """
        made = self.raw(fake).clamp(-BOUND, BOUND)
        weights = torch.where(grey[:, None], self.weights, self.plain)
        return ((made - truth.clamp(-BOUND, BOUND)).square() * weights).mean()

    def windows(self, truth, side):
        """Weights [N, 1, side, side] of the pixels: 1 at the eyes and the corners of the mouth."""
        points = (truth[:, LANDMARKS] * self.std + self.mean).view(len(truth), 5, 2)[:, MARKED]
        at = (torch.arange(side, device=truth.device) + 0.5) / side
        x, y = (
            torch.exp(-0.5 * ((at - points[..., axis, None]) / REACH).square()) for axis in (0, 1)
        )
        return (y[..., :, None] * x[..., None, :]).amax(1, keepdim=True)

    def around(self, fake, real, truth):
        """The pixel loss within the windows."""
        mask = self.windows(truth, real.shape[3])
        return pixel_loss(fake * mask, real * mask) / mask.mean()
