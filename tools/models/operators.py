"""Writes the single-operator test models of `cases/` into a folder.

    python tools/models/operators.py FOLDER

Each case gives `NAME.onnx` and `NAME.npz`: 16 inputs and the outputs of ONNX Runtime for them.
"""

import argparse
import sys
from pathlib import Path

from cases import all_cases
from recipes.artefacts import save_npz, write_model


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the single-operator test models.")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)

    written = []
    for case in all_cases():
        model, arrays = case.make()
        model_path, data_path = (folder / f"{case.name}.{kind}" for kind in ("onnx", "npz"))
        write_model(model_path, model)
        save_npz(data_path, **arrays)
        written += [model_path, data_path]

    total = sum(path.stat().st_size for path in written)
    print(f"{len(written) // 2} cases, {total:,} bytes, in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
