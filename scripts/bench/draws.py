"""gannet's random numbers in numpy (src/rng.rs): SplitMix64 (Steele et al. 2014), streams named by FNV-1a, Box-Muller; and
which of them its projector draws. Normals agree to the last bit of single precision but where the two libraries' logarithms
and sines round differently."""
import hashlib

import numpy as np

WORD = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15


def outputs(state, count):
    """The next `count` words of 64 bits of the stream in `state`: the i-th depends on state and i alone."""
    with np.errstate(over="ignore"):
        z = np.uint64(state) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(GOLDEN)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def derived(seed, name):
    """The state of the stream that a seed and a name give."""
    word = 0xCBF29CE484222325
    for byte in name.encode():
        word = (word ^ byte) * 0x100000001B3 & WORD
    return int(outputs(seed ^ word, 1)[0])


def normals(state, count):
    """The first `count` standard normals of a stream, single precision."""
    uniform = (outputs(state, count + count % 2) >> np.uint64(11)).astype(np.float64) * 2.0 ** -53
    radius = np.sqrt(-2.0 * np.log(1.0 - uniform[0::2]))
    angle = 2.0 * np.pi * uniform[1::2]
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return pairs.reshape(-1)[:count].astype(np.float32)


class Projector:
    """What `invert(picture, method: projector, seed: …)` draws. `picture` is the target's bytes, `[H, W, C]`."""

    def __init__(self, picture, seed):
        values = picture.astype(np.float32) / np.float32(127.5) - np.float32(1)
        planes = np.ascontiguousarray(values.transpose(2, 0, 1)[None])
        content = hashlib.sha256(str(list(planes.shape)).encode() + planes.astype("<f4").tobytes()).hexdigest()
        self.seed, self.key = seed, f"invert {content}"

    def maps(self, shapes):
        """The noise maps to start with: one stream over all of them."""
        sizes = [int(np.prod(s)) for s in shapes]
        drawn = normals(derived(self.seed, f"{self.key} noise maps"), sum(sizes))
        return [part.reshape(s) for part, s in zip(np.split(drawn, np.cumsum(sizes)[:-1]), shapes, strict=True)]

    def on_w(self, step, dim):
        """The noise on w in a step, before its deviation."""
        return normals(derived(self.seed, f"{self.key} w noise {step}"), dim)
