"""gannet beside OpenVINO on the photographic generator of the package random-face: same weights, machine and threads, ratios.

    python mobilestylegan.py --wheel random_face-2021.7.21.1-py3-none-any.whl --gannet BINARY [--threads 2] [--rounds 3] [--json]

OpenVINO runs the package's own graph of the synthesis in single precision, one picture at a time, from w to the picture.
gannet opens the wheel: forward (`bench --only model`), and a step (forward, sum of squares, gradient to w+ and the noise
maps), which OpenVINO cannot do. Rounds take turns. Needs the package `openvino`.
"""
import argparse
import json
import sys
import tempfile

import common


def peer(a):
    """One measurement of OpenVINO, in a process of its own."""
    import numpy as np
    sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/reference")
    from mobilestylegan_wheel import networks
    with tempfile.TemporaryDirectory() as folder:
        _, synthesis = networks(a.wheel, folder, a.threads)
        style = np.random.default_rng(0).standard_normal((1, 512)).astype(np.float32)
        request = synthesis.create_infer_request()
        common.forget_peak()
        times = common.calls(lambda: request.infer([style]), least=10, seconds=3)
    print(json.dumps(dict(forward_ms=common.median(times), least_ms=min(times), peak_mb=common.peak_mb())))


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--wheel", required=True, help="the package as pip downloads it")
    a.add_argument("--gannet", help="a release build")
    a.add_argument("--threads", type=int, default=2)
    a.add_argument("--rounds", type=int, default=3)
    a.add_argument("--json", action="store_true", help="one object with all that was measured")
    a.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    a = a.parse_args()
    if a.peer:
        return peer(a)
    if not a.gannet:
        sys.exit("--gannet is missing: a release build")
    own, theirs = [], []
    for i in range(a.rounds):
        common.say(f"round {i + 1} of {a.rounds}")
        theirs += common.child([sys.executable, "-W", "ignore", __file__, "--wheel", a.wheel, "--threads", str(a.threads), "--peer"])
        own += common.child([a.gannet, "bench", "--json", "--quiet", "--only", "model", "--model", a.wheel, "--threads",
                             str(a.threads), "--device", "cpu", "--rounds", "1"])
    mine = {k: common.median([r[k] for r in own]) for k in ("forward_ms", "step_ms", "peak_mb")}
    peers = {k: common.median([r[k] for r in theirs]) for k in ("forward_ms", "peak_mb")}
    found = dict(threads=a.threads, rounds=a.rounds, gannet=mine, openvino=peers, forward_ratio=peers["forward_ms"] / mine["forward_ms"],
                 step_in_forwards=mine["step_ms"] / mine["forward_ms"], rows=dict(gannet=own, openvino=theirs))
    if a.json:
        return print(json.dumps(found))
    print(common.table(["forward ms", "OpenVINO", "ratio", "step ms", "in forwards", "peak MiB", "OpenVINO"],
                       [[mine["forward_ms"], peers["forward_ms"], found["forward_ratio"], mine["step_ms"], found["step_in_forwards"],
                         mine["peak_mb"], peers["peak_mb"]]]))
    print(f"\n{a.threads} threads, one picture of 1024², f32; medians of {a.rounds} rounds in turns; ratio: OpenVINO's time by gannet's")


if __name__ == "__main__":
    main()
