"""Trains the repository's small models and writes their files.

    python tools/models/train.py [NAME ...]

Without names, everything is made. Each recipe in `recipes/` writes one folder beside this file:
the ONNX model, `calib.npz` (inputs for calibration) and `eval.npz` (inputs, labels and the
outputs of ONNX Runtime). Figures go to standard output as a Markdown table.
"""

import argparse
import importlib
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from recipes.artefacts import Row

# In this order: `digits-qdq` reads what `digits` wrote.
RECIPES = {
    "perceptron": "perceptron",
    "digits": "digits",
    "digits-qdq": "digits_qdq",
    "digits-nhwc": "digits_nhwc",
    "motion": "motion",
    "keyword": "keyword",
    "autoencoder": "autoencoder",
}


def make(name: str) -> list[Row]:
    """Runs one recipe in its folder."""
    folder = Path(__file__).resolve().parent / name
    folder.mkdir(exist_ok=True)
    return importlib.import_module(f"recipes.{RECIPES[name]}").make(folder)


def main() -> int:
    parser = argparse.ArgumentParser(description="Train the repository's small models.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(RECIPES)}")
    names = parser.parse_args().names or list(RECIPES)
    unknown = [name for name in names if name not in RECIPES]
    if unknown:
        parser.error(f"no recipe for {', '.join(unknown)}; there are {', '.join(RECIPES)}")

    # A fresh process each, since exporters number the names they make up by what they did before.
    processes = ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1)
    rows = []
    with processes:
        for name in names:
            print(f"making {name} …", file=sys.stderr)
            rows += processes.submit(make, name).result()

    print("| model | bytes | parameters | evaluated on | result |")
    print("|---|--:|--:|---|---|")
    for row in rows:
        print(row.markdown())
    return 0


if __name__ == "__main__":
    sys.exit(main())
