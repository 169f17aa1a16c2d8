"""Render pictures with labels: the same numbers give the same pictures for ever.

    MAKEHUMAN_ASSETS=DIR python make.py train|pairs|parts START COUNT OUT [--workers N]

writes OUT/MODE_START.tar and, except for parts, OUT/MODE_START.jsonl.gz, one label object a line.
"""

import argparse
import os
import sys
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: --workers is the parallelism

import assets  # noqa: E402
import dataset  # noqa: E402
from person import STREAM  # noqa: E402

REPORT = 30  # seconds between lines of progress


def parse_arguments():
    """The command line, checked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("mode", choices=dataset.MODES)
    parser.add_argument("start", type=int, help="the first number, at least 0")
    parser.add_argument("count", type=int, help="how many numbers, at least 1")
    parser.add_argument("out", help="a folder; it is made where it is missing")
    parser.add_argument("--workers", type=int, default=1, help="processes (default 1)")
    arguments = parser.parse_args()
    if arguments.start < 0 or arguments.count < 1 or arguments.workers < 1:
        parser.error("START is at least 0, COUNT and --workers at least 1")
    if arguments.start + arguments.count > STREAM:
        parser.error(f"numbers end below {STREAM}: from there on they would share random draws")
    return arguments


def write(arguments, root):
    """Render and write everything; reports the progress on stderr."""
    os.makedirs(arguments.out, exist_ok=True)
    stem = os.path.join(arguments.out, f"{arguments.mode}_{arguments.start:06d}")
    numbers = range(arguments.start, arguments.start + arguments.count)
    began = reported = time.monotonic()
    with dataset.Writer(stem, has_labels=arguments.mode != "parts") as writer:
        rendered = dataset.render(arguments.mode, numbers, root, arguments.workers)
        for done, entries in enumerate(rendered, 1):
            for entry in entries:
                writer.add(entry)
            if time.monotonic() - reported > REPORT:
                reported = time.monotonic()
                print(f"{done} of {len(numbers)}, {reported - began:.0f} s", file=sys.stderr)
    print(f"{stem}.tar: {len(numbers)} numbers in {time.monotonic() - began:.1f} s")


def main():
    """Run the command; errors that the user can repair are one line."""
    arguments = parse_arguments()
    try:
        write(arguments, assets.folder())
    except (assets.MissingAssets, OSError) as error:
        sys.exit(f"make.py: {error}")


if __name__ == "__main__":
    main()
