"""Pictures of one person before and after edits, with codes: what networks beside codes train on.

A source is a picture with the code and the reconstruction that the encoder's passes give. A goal is
another picture of the same person; the source's code is moved to it along the generator's own
directions of W+, by the differences of the labels. Sources are mirrored too: a mirrored picture has
another code, and the labels of its turns change sign.
"""

import os

import numpy as np
import torch

from attributes import load_tensors, predict
from common import load_images, to_tensor
from editing import SCALARS, scalar
from encoder import load_encoder, refine
from fit_walks import EDITS, HELD_OUT, Pairs

SIGNED = ("yaw", "light")  # negated in a mirrored picture
# How often an edit is the goal. Turns move what is added the farthest from where it belongs.
OFTEN = {"smile": 1.0, "glasses": 2.0, "yaw": 2.5, "light": 1.5, "brow": 0.5, "weight": 0.4}
CHUNK = 50


def mirrored(images, which):
    """uint8 [N, H, W, 3] with those of `which` [N] mirrored."""
    return np.where(which[:, None, None, None], images[:, :, ::-1], images)


@torch.no_grad()
def encoded(images, generator, encoder, passes):
    """Codes f32 [N, L, D] and reconstructions uint8 [N, H, W, 3] of pictures."""
    codes, made = [], []
    for part in np.array_split(images, -(-len(images) // CHUNK)):
        found, pictures = refine(encoder, generator, to_tensor(part), passes, torch.bfloat16)
        codes.append(found[-1].float())
        y = ((pictures[-1].clamp(-1, 1) + 1) * 127.5).round().byte()
        made.append(y.permute(0, 2, 3, 1).numpy())
    return torch.cat(codes), np.concatenate(made)


class TrueEdits:
    """Sources and goals.

    Of each person the base picture and `views` others, drawn at random, are sources, in both
    directions of the mirror. A picture of `data` is its own only goal.
    """

    def __init__(self, paths, folders, args, bench, cache):
        pairs = Pairs(folders["pairs"])
        data = load_images(folders["data"])[: args.data_pictures] if folders["data"] else None
        self.images = pairs.images if data is None else np.concatenate([pairs.images, data])
        self.names, self.versions = list(EDITS), {}
        for (person, edit), at in pairs.at.items():
            self.versions.setdefault(person, {})[edit] = at
        self.people = pairs.people
        self.labels = self.read_labels(pairs, bench)
        tensors, _ = load_tensors(paths["directions"])
        self.directions = torch.stack([tensors[f"W+/{name}"] for name in self.names])
        self.person, self.at, self.flip = self.chosen(args)
        if os.path.exists(cache):
            with np.load(cache) as f:
                self.codes, self.made = torch.from_numpy(f["codes"]), f["made"]
            if len(self.codes) != len(self.at):
                raise SystemExit(f"{cache} is of other pictures: remove it")
        else:
            encoder, _ = load_encoder(paths["encoder"])
            pictures = self.sources(slice(None))
            self.codes, self.made = encoded(pictures, bench.generator, encoder, args.passes)
            np.savez(cache, codes=self.codes.numpy(), made=self.made)
        held = np.array([p >= 0 and p % HELD_OUT == 0 for p in self.person])
        self.fitted, self.held = np.flatnonzero(~held), np.flatnonzero(held)

    def read_labels(self, pairs, bench):
        """The labels in steps of the directions [pictures, names]."""
        base = predict(bench.net, to_tensor(pairs.images[pairs.base()]))
        columns = []
        for name in self.names:
            label = SCALARS[name]
            target = next((t for t in bench.targets if t.name == name), None)
            target = target or scalar(bench.outputs, name, label)
            if target.unit == "logit":
                read = base[:, [o["name"] for o in bench.outputs].index(label)]
                unit = (read[read > 0].mean() - read[read <= 0].mean()).item() / target.per_step
            else:
                unit = 1 / target.per_step
            columns.append(pairs.labels[label].astype(np.float32) * unit)
        return np.stack(columns, 1)

    def chosen(self, args):
        """Of every source: the person's index or -1, the picture's, whether it is mirrored."""
        rng, rows = np.random.default_rng(args.seed), []
        for k, person in enumerate(self.people):
            versions = self.versions[person]
            others = [at for edit, at in versions.items() if edit != "base"]
            for flip in (False, True):
                views = rng.choice(others, args.views, replace=False)
                rows += [(k, at, flip) for at in (versions["base"], *views)]
        first = sum(map(len, self.versions.values()))
        rows += [(-1, at, rng.random() < 0.5) for at in range(first, len(self.images))]
        return (np.array(column) for column in zip(*rows))

    def sources(self, rows):
        """The true pictures of sources, uint8."""
        return mirrored(self.images[self.at[rows]], self.flip[rows])

    def step(self, row, goal):
        """What moves the code of a source to that picture [L, D]."""
        source = self.at[row]
        if source == goal:
            return torch.zeros_like(self.directions[0])
        steps = self.labels[goal] - self.labels[source]
        if self.flip[row]:
            steps = steps * [-1 if name in SIGNED else 1 for name in self.names]
        return torch.tensordot(torch.from_numpy(steps).float(), self.directions, 1)

    def goals(self, row, count, rng):
        """So many other pictures of the source's person, at random by `OFTEN`."""
        if self.person[row] < 0:
            return []
        versions = self.versions[self.people[self.person[row]]]
        odds, places = [], []
        for name, edits in EDITS.items():
            for edit in edits:
                at = versions[edit]
                if (self.labels[at] != self.labels[self.at[row]]).any():
                    odds.append(OFTEN[name])
                    places.append(at)
        odds = np.array(odds) / sum(odds)
        return list(rng.choice(places, count, replace=False, p=odds))

    def batch(self, rows, goals):
        """(pictures, reconstructions, index of each goal's source, moved codes, true pictures): the
        first goals are the sources themselves."""
        rows = np.asarray(rows)
        pairs = [(i, self.at[row]) for i, row in enumerate(rows)]
        pairs += [(i, goal) for i, own in enumerate(goals) for goal in own]
        of = np.array([i for i, _ in pairs])
        steps = torch.stack([self.step(rows[i], goal) for i, goal in pairs])
        truth = mirrored(self.images[[goal for _, goal in pairs]], self.flip[rows[of]])
        codes = self.codes[rows[of]] + steps
        x, y = to_tensor(self.sources(rows)), to_tensor(self.made[rows])
        return x, y, torch.from_numpy(of), codes, to_tensor(truth)
