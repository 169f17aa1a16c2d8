"""What the training scripts share: data, checkpoints, sample sheets, the log and its loop."""

import json
import os
import time

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save


def write_atomically(path, data):
    """Replace `path` by `data` (bytes) or leave it as it was."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    temporary = path + ".partial"
    with open(temporary, "wb") as f:
        f.write(data)
        f.flush()
        os.fsync(f.fileno())
    os.replace(temporary, path)


def save_checkpoint(path, state):
    """`torch.save` through a temporary file, so that a kill never leaves half a checkpoint."""
    temporary = path + ".partial"
    torch.save(state, temporary)
    os.replace(temporary, path)


def save_model(path, tensors, manifest):
    """Write a gannet safetensors file: tensors and one metadata key, `gannet`."""
    manifest = {"format": 1, **manifest}
    contiguous = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    write_atomically(path, save(contiguous, {"gannet": json.dumps(manifest, sort_keys=True)}))


def load_images(folder):
    """The prepared training pictures, uint8 [N, H, W, 3]."""
    return np.load(os.path.join(folder, "images.npy"))


def to_tensor(images, device="cpu"):
    """uint8 [N, H, W, 3] -> f32 [N, 3, H, W] in [-1, 1]."""
    x = torch.from_numpy(np.ascontiguousarray(images)).to(device)
    return x.permute(0, 3, 1, 2).float() / 127.5 - 1


def write_sheet(path, images, columns=8, zoom=2):
    """A PNG of pictures [N, 3, H, W] in [-1, 1]; N must fill whole rows."""
    x = ((images.float().clamp(-1, 1) + 1) * 127.5).round().byte().cpu()
    x = x.permute(0, 2, 3, 1).numpy()
    n, h, w, c = x.shape
    x = x.reshape(n // columns, columns, h, w, c).swapaxes(1, 2)
    sheet = Image.fromarray(x.reshape(n // columns * h, columns * w, c))
    size = (sheet.width * zoom, sheet.height * zoom)
    sheet.resize(size, Image.Resampling.NEAREST).save(path)


def pick_device(name):
    """`auto` is CUDA where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


class Journal:
    """The log: means over some steps, on the screen and in a file."""

    def __init__(self, folder, every):
        self.file, self.every = open(os.path.join(folder, "log.jsonl"), "a"), every
        self.rows, self.since = [], None

    def write(self, record):
        print(json.dumps(record), file=self.file, flush=True)
        print(json.dumps(record), flush=True)

    def pause(self):
        """What comes now is no training, and does not count in the rate."""
        self.since = None

    def take(self, head, row, last):
        """The numbers of a step by name; `head`, with the pictures `seen`, stands before their means."""
        self.since = self.since or (time.time(), head["seen"])
        if self.rows and row.keys() != self.rows[0].keys():
            self.rows = []
        self.rows.append(row)
        if len(self.rows) < self.every and not last:
            return
        means = {k: round(float(np.mean([r[k] for r in self.rows])), 4) for k in row}
        spent, count = time.time() - self.since[0], head["seen"] - self.since[1]
        self.write(head | means | {"rate": round(count / max(1e-9, spent), 1)})
        self.rows, self.since = [], (time.time(), head["seen"])


def run_steps(step, save, journal, save_minutes):
    """Train until `step()`, which gives (head, row, last), says it was the last; save at times."""
    saved, done = time.time(), False
    while not done:
        head, row, done = step()
        journal.take(head, row, done)
        if done or time.time() - saved > 60 * save_minutes:
            save()
            journal.pause()
            saved = time.time()
