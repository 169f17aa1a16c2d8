"""What the side-by-side drivers share: the official networks, imported from a folder that the caller names, with random
weights of the published widths; peak memory; medians; calls of gannet."""
import ctypes.util
import json
import os
import statistics
import subprocess
import sys
import time

W_DIM = 512
# A noise map counts for something, so that its work is not lost.
NOISE_STRENGTH = 0.1
# glibc gives large blocks back to the system at every free, and takes them anew, page by page, at every call. These keep
# them: no mmap, no trimming, growth in large pieces.
GLIBC = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 36), "MALLOC_TOP_PAD_": str(1 << 26)}
JEMALLOC = {"MALLOC_CONF": "dirty_decay_ms:-1,muzzy_decay_ms:-1,oversize_threshold:0"}


def channel_base(resolution):
    """As in the published networks, and as `gannet bench` has it: half the widths at 256 (fmaps=0.5)."""
    return 16384 if resolution == 256 else 32768


def official(folder):
    """The official package of networks; nothing of it is copied. On the CPU its operators run as plain PyTorch."""
    sys.path.insert(0, os.path.abspath(folder))
    from training import networks
    return networks


def widths(resolution):
    """Single precision throughout, no clamping."""
    return dict(channel_base=channel_base(resolution), channel_max=512, num_fp16_res=0, conv_clamp=None)


def freeze(network):
    """Weights without gradients, noise that counts; ready to be timed."""
    network.eval().requires_grad_(False)
    for name, parameter in network.named_parameters():
        if name.endswith("noise_strength"):
            parameter.fill_(NOISE_STRENGTH)
    return network


def noise_layers(network):
    """The layers that add noise, in the order in which they run."""
    return [m for m in network.modules() if hasattr(m, "noise_const")]


def free_noise(network):
    """Puts leaf tensors with gradients in the place of the stored noise maps, and returns them in layer order."""
    for layer in noise_layers(network):
        layer.noise_const = layer.noise_const.detach().clone().requires_grad_(True)
    return [layer.noise_const for layer in noise_layers(network)]


def forget_peak():
    """Sets the peak of the resident set back to what is resident now; whether the system allows it."""
    try:
        with open("/proc/self/clear_refs", "w") as f:
            f.write("5")
        return True
    except OSError:
        return False


def peak_mb():
    """The peak of the resident set in MiB since `forget_peak`, as gannet measures it."""
    try:
        with open("/proc/self/status") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmHWM")) / 1024
    except (OSError, StopIteration):
        import resource
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def calls(work, least=5, seconds=1.0, most=20.0, warm=1):
    """The times of single calls in ms: `least` calls and `seconds` at least, `most` seconds at most."""
    for _ in range(warm):
        work()
    times, begun = [], time.perf_counter()
    while True:
        start = time.perf_counter()
        work()
        now = time.perf_counter()
        times.append((now - start) * 1e3)
        if now - begun > most or (len(times) >= least and now - begun > seconds):
            return times


def median(values):
    """The median, or None of nothing."""
    values = [v for v in values if v is not None]
    return statistics.median(values) if values else None


def allocators(asked):
    """The allocators to try by name: the environment that chooses each. jemalloc and tcmalloc where the machine has them."""
    found = {"default": {}, "glibc-tuned": GLIBC}
    for name, library, more in [("jemalloc", "jemalloc", JEMALLOC), ("tcmalloc", "tcmalloc_minimal", {})]:
        path = ctypes.util.find_library(library)
        if path:
            found[name] = {"LD_PRELOAD": path, **more}
    if asked == "all":
        return found
    unknown = [name for name in asked.split(",") if name not in found]
    if unknown:
        sys.exit(f"no allocator {', '.join(unknown)} here: there is {', '.join(found)}")
    return {name: found[name] for name in asked.split(",")}


def child(command, env=None):
    """The lines of JSON that a process writes; its stderr goes where ours goes."""
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{os.path.basename(command[0])} ended with {done.returncode}: {' '.join(command[1:])}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.strip()]


def gannet_row(binary, resolution, threads, batch, rounds=None, kernels="auto"):
    """One row of `gannet bench` on the CPU: the random generator of that resolution."""
    command = [binary, "bench", "--json", "--quiet", "--only", "official", "--resolution", str(resolution),
               "--threads", str(threads), "--batch", str(batch), "--device", "cpu", "--kernels", kernels]
    if rounds:
        command += ["--rounds", str(rounds)]
    (row,) = child(command)
    return row


def numbers(text):
    """`64,256` as a list."""
    return [int(part) for part in text.split(",")]


def table(columns, rows):
    """Lines of aligned columns, to the right; None is a dash."""
    cells = [["-" if c is None else c if isinstance(c, str) else f"{c:.2f}" if c < 10 else f"{c:.0f}" for c in row]
             for row in rows]
    wide = [max(len(c) for c in column) for column in zip(columns, *cells)]
    return "\n".join("  ".join(c.rjust(w) for c, w in zip(row, wide)) for row in [columns, *cells])


def say(text):
    """Progress."""
    print(text, file=sys.stderr, flush=True)
