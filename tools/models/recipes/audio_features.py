"""The audio front end in floats: what `runtime/audio` computes in integers."""

import numpy as np

RATE = 16_000
WINDOW, HOP, POINTS = 480, 320, 512
MELS, LOW_HZ, HIGH_HZ = 32, 125.0, 7500.0
# Added to an energy, for samples within ±1.
OFFSET = 1e-6


def filters() -> np.ndarray:
    """Triangles with peaks of 1, equally spaced on O'Shaughnessy's mel scale: [MELS, bins]."""
    low, high = 2595.0 * np.log10(1.0 + np.array([LOW_HZ, HIGH_HZ]) / 700.0)
    corners = 700.0 * (10.0 ** (np.linspace(low, high, MELS + 2) / 2595.0) - 1.0)
    left, peak, right = (corners[at : at + MELS, np.newaxis] for at in range(3))
    hz = np.arange(POINTS // 2 + 1) * RATE / POINTS
    rising, falling = (hz - left) / (peak - left), (right - hz) / (right - peak)
    return np.maximum(0.0, np.minimum(rising, falling))


FILTERS = filters()
HANN = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(WINDOW) / WINDOW)


def log_mel(sound: np.ndarray) -> np.ndarray:
    """Natural logarithms of mel energies of int16 samples: [frames, MELS], float64."""
    windows = np.lib.stride_tricks.sliding_window_view(sound / 32768.0, WINDOW)[::HOP]
    power = np.abs(np.fft.rfft(windows * HANN, POINTS)) ** 2
    return np.log(power @ FILTERS.T + OFFSET)
