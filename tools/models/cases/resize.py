"""Resize (and Upsample before it): nearest and linear, by scales and by sizes."""

import numpy as np

from .case import Case, Input, ints, single

SHAPE = (1, 2, 4, 5)
DOUBLE = np.array([1, 1, 2, 2], np.float32)
NO_ROI = np.zeros(0, np.float32)


def by_scales(name: str, opset: int, scales: np.ndarray, **how) -> Case:
    """Resize by factors; opset 11 and 12 want an empty region of interest, later ones none."""
    roi = NO_ROI if opset < 13 else None
    return single(f"resize_{name}", "Resize", opset, [Input(SHAPE), roi, scales], **how)


def by_sizes(name: str, opset: int, height: int, width: int, **how) -> Case:
    """Resize to a size."""
    operands = [Input(SHAPE), None, None, ints(1, 2, height, width)]
    return single(f"resize_{name}", "Resize", opset, operands, **how)


def nearest(coordinates: str, rounding: str) -> dict[str, str]:
    """The attributes of nearest-neighbour resizing."""
    return {
        "mode": "nearest",
        "coordinate_transformation_mode": coordinates,
        "nearest_mode": rounding,
    }


def linear(coordinates: str) -> dict[str, str]:
    """The attributes of bilinear resizing."""
    return {"mode": "linear", "coordinate_transformation_mode": coordinates}


CASES = [
    single("upsample_nearest", "Upsample", 9, [Input(SHAPE), DOUBLE], mode="nearest"),
    single("resize_10_nearest", "Resize", 10, [Input(SHAPE), DOUBLE], mode="nearest"),
    by_scales("nearest_asymmetric_floor", 11, DOUBLE, **nearest("asymmetric", "floor")),
    by_scales("nearest_half_pixel", 13, DOUBLE, **nearest("half_pixel", "round_prefer_floor")),
    by_scales(
        "nearest_factors_differ",
        13,
        np.array([1, 1, 3, 1], np.float32),
        **nearest("asymmetric", "floor"),
    ),
    by_sizes("nearest_sizes_floor", 13, 7, 8, **nearest("asymmetric", "floor")),
    by_sizes("nearest_half_pixel_ceil", 18, 6, 9, **nearest("half_pixel", "round_prefer_ceil")),
    by_sizes("nearest_smaller", 19, 2, 3, **nearest("half_pixel", "floor")),
    by_scales("linear_half_pixel", 11, DOUBLE, **linear("half_pixel")),
    by_scales("linear_asymmetric", 13, DOUBLE, **linear("asymmetric")),
    by_scales("linear_align_corners", 13, DOUBLE, **linear("align_corners")),
    by_sizes("linear_pytorch_half_pixel", 18, 7, 8, **linear("pytorch_half_pixel")),
    by_sizes("linear_smaller", 19, 2, 3, **linear("half_pixel")),
]
