"""Spoken words from espeak-ng, in many voices, and the sounds around them."""

from __future__ import annotations

import io
import subprocess
from dataclasses import dataclass

import numpy as np
from scipy.io import wavfile
from scipy.signal import fftconvolve, resample_poly

RATE = 16_000

ACCENTS = (
    "en-us",
    "en-gb",
    "en-gb-scotland",
    "en-gb-x-gbclan",
    "en-gb-x-rp",
    "en-029",
    "en-us-nyc",
)
# Variants of espeak-ng: vocal tracts, so to speak. Those of the test are never trained on.
TRAIN_VARIANTS = (
    *("m1", "m2", "m3", "m4", "m5", "m6", "f1", "f2", "f3", "adam", "Alex", "Alicia", "Andy"),
    *("Annie", "antonio", "belinda", "benjamin", "boris", "david", "Denis", "ed", "Gene"),
    *("Henrique", "iven", "Jacky", "Lee", "linda", "marcelo", "Marco", "michael", "miguel"),
)
TEST_VARIANTS = ("m7", "m8", "f4", "f5", "Andrea", "caleb", "edward", "Hugo", "john", "Mike")


@dataclass(frozen=True)
class Voice:
    """How espeak-ng says something: words a minute, and pitch of 0 to 99."""

    accent: str
    variant: str
    speed: int
    pitch: int

    @classmethod
    def random(cls, rng: np.random.Generator, variants: tuple[str, ...]) -> Voice:
        return cls(
            str(rng.choice(ACCENTS)),
            str(rng.choice(variants)),
            int(rng.integers(110, 200)),
            int(rng.integers(20, 80)),
        )

    def say(self, word: str) -> np.ndarray:
        """The word at 16 kHz, float64 with a peak of 1, without the silence around it."""
        name = f"{self.accent}+{self.variant}"
        command = ["espeak-ng", "-v", name, "-s", str(self.speed), "-p", str(self.pitch)]
        spoken = subprocess.run([*command, "--stdout", word], check=True, capture_output=True)
        rate, samples = wavfile.read(io.BytesIO(_with_length(spoken.stdout)))
        sound = resample_poly(samples.astype(np.float64), RATE, rate)
        sound /= np.abs(sound).max()
        loud = np.flatnonzero(np.abs(sound) > 0.02)
        return sound[loud[0] : loud[-1] + 1]


def _with_length(wav: bytes) -> bytes:
    """A stream of espeak-ng's has no lengths in its header, which is 44 bytes."""
    riff, data = len(wav) - 8, len(wav) - 44
    return wav[:4] + riff.to_bytes(4, "little") + wav[8:40] + data.to_bytes(4, "little") + wav[44:]


def noise(rng: np.random.Generator, length: int) -> np.ndarray:
    """Noise with an RMS of 1 and a spectrum between white and brown, at times with hum."""
    spectrum = np.fft.rfft(rng.standard_normal(length))
    hz = np.fft.rfftfreq(length, 1 / RATE)
    coloured = np.fft.irfft(spectrum / np.maximum(hz, 50.0) ** rng.uniform(0.0, 1.2), length)
    sound = coloured / rms(coloured)
    if rng.random() < 0.3:
        time = np.arange(length) / RATE
        base = rng.choice([50.0, 60.0, rng.uniform(80.0, 400.0)])
        for harmonic in range(1, 5):
            phase = rng.uniform(0, 2 * np.pi)
            sound += rng.uniform(0, 0.6) * np.sin(2 * np.pi * base * harmonic * time + phase)
    return sound / rms(sound)


def room(rng: np.random.Generator, sound: np.ndarray) -> np.ndarray:
    """The sound with the decaying echo of a small room."""
    length = int(RATE * rng.uniform(0.05, 0.3))
    decay = np.exp(-6.0 * np.arange(length) / length)
    echo = rng.standard_normal(length) * decay
    echo *= rng.uniform(0.05, 0.4) / np.sqrt(np.sum(echo**2))
    echo[0] = 1.0
    return fftconvolve(sound, echo)[: len(sound)]


def rms(sound: np.ndarray) -> float:
    return float(np.sqrt(np.mean(sound**2)) + 1e-12)
