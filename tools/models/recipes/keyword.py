"""A 1-D depthwise-separable CNN that tells four spoken words from everything else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from . import speech, with_torch
from .artefacts import Row, Samples, accuracy, reference, save_model, save_npz
from .audio_features import log_mel
from .speech import RATE, TEST_VARIANTS, TRAIN_VARIANTS, Voice

CLASSES = ("background", "yes", "no", "left", "right")
# Words that are not to be heard, among them some that sound alike.
OTHERS = (
    *("up", "down", "on", "off", "stop", "go", "one", "two", "three", "four", "five", "six"),
    *("seven", "eight", "nine", "zero", "yet", "guess", "yard", "chess", "nose", "now", "note"),
    *("snow", "lift", "loft", "less", "leaf", "felt", "rate", "ride", "light", "night", "bright"),
    *("wait", "house", "tree", "bird", "happy", "water", "music", "window", "table", "please"),
    *("hello", "open", "close", "the", "and", "what", "computer", "morning", "yellow", "red"),
)
LENGTH = RATE  # samples of a clip
# Features are stored in steps of this, from this value on.
SCALE, OFFSET = 0.1, -14.0
SAID = 2000  # recordings of each keyword, and this many of all other words for each keyword
TRAIN, TEST = 48_000, 150


def network() -> nn.Sequential:
    """[N, 32 mels, 49 frames] to [N, classes] logits."""
    width = 40

    def block() -> list[nn.Module]:
        return [
            nn.Conv1d(width, width, 7, padding=3, groups=width, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.Conv1d(width, width, 1, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(),
        ]

    return nn.Sequential(
        nn.Conv1d(32, width, 5, stride=2, bias=False),  # unpadded: silence is not 0
        nn.BatchNorm1d(width),
        nn.ReLU(),
        *block(),
        *block(),
        *block(),
        *block(),
        nn.AvgPool1d(23),
        nn.Flatten(),
        nn.Dropout(0.1),
        nn.Linear(width, len(CLASSES)),
    )


def vocabulary(rng: np.random.Generator, variants: tuple[str, ...], count: int) -> list[list]:
    """For each class, recordings of its words; background has the other words."""

    def say(word: str) -> np.ndarray:
        return Voice.random(rng, variants).say(word)

    others = [say(str(rng.choice(OTHERS))) for _ in range(2 * count)]
    return [others, *([say(word) for _ in range(count)] for word in CLASSES[1:])]


def clip(rng: np.random.Generator, words: list[list], label: int) -> np.ndarray:
    """A second of sound, int16: a word of the class somewhere in it, in a room with noise.

    Background is noise alone, another word, or a keyword of which the second has less than half.
    """
    sound = np.zeros(3 * LENGTH)
    kind = rng.random()
    if label or kind < 0.5:
        word = words[label][rng.integers(len(words[label]))]
        free = LENGTH - len(word)
        # All of it inside, but for the last 5 %; a longer one about in the middle.
        start = int(rng.uniform(min(0, free), max(0, free + 0.05 * len(word))))
    elif kind < 0.75:
        word = words[rng.integers(1, len(words))]
        word = word[rng.integers(len(word))]
        outside = int(rng.uniform(0.6, 1.0) * len(word))
        start = -outside if rng.random() < 0.5 else LENGTH - (len(word) - outside)
    else:
        word, start = np.zeros(1), 0
    if word.any():
        word = word / speech.rms(word)
    sound[LENGTH + start : LENGTH + start + len(word)] = word
    if rng.random() < 0.5:
        sound = speech.room(rng, sound)
    return heard(rng, sound[LENGTH : 2 * LENGTH])


def heard(rng: np.random.Generator, sound: np.ndarray) -> np.ndarray:
    """A sound whose words have an RMS of 1, in noise 2 to 36 dB below, as loud as any, int16."""
    noisy = sound + speech.noise(rng, len(sound)) * 10 ** rng.uniform(-1.8, -0.1)
    return sampled(noisy * 10 ** rng.uniform(1.5, 3.6))


def sampled(sound: np.ndarray) -> np.ndarray:
    """Rounded and clipped to int16."""
    return np.clip(np.round(sound), -32768, 32767).astype(np.int16)


def examples(rng: np.random.Generator, words: list[list], count: int) -> tuple[Samples, np.ndarray]:
    """Features [N, 32, 49] as stored, and labels; background is half."""
    share = [0.5, *[0.5 / (len(CLASSES) - 1)] * (len(CLASSES) - 1)]
    y = rng.choice(len(CLASSES), size=count, p=share).astype(np.int64)
    features = np.stack([log_mel(clip(rng, words, label)).T for label in y])
    stored = np.clip(np.round((features - OFFSET) / SCALE), 0, 255).astype(np.uint8)
    return Samples(stored, SCALE, OFFSET), y


def recording(
    rng: np.random.Generator, words: list[tuple[str, float]], seconds: float
) -> np.ndarray:
    """Words at given seconds in quiet noise, int16, by voices that training has not heard."""
    sound = 20.0 * speech.noise(rng, int(seconds * RATE))
    for word, at in words:
        spoken = Voice.random(rng, TEST_VARIANTS).say(word)
        start = int(at * RATE)
        sound[start : start + len(spoken)] += 1000.0 * spoken / speech.rms(spoken)
    return sampled(sound)


def make(folder: Path) -> list[Row]:
    with_torch.seed(0)
    rng = np.random.default_rng(0)
    train, train_y = examples(rng, vocabulary(rng, TRAIN_VARIANTS, SAID), TRAIN)
    test, test_y = examples(rng, vocabulary(rng, TEST_VARIANTS, 60), TEST)
    model = network()
    x = train.real()
    with_torch.fit(model, x, train_y, epochs=20, batch=128, rate=0.01, augment=vary)

    path = folder / "keyword.onnx"
    scores = nn.Sequential(*model, nn.Softmax(dim=1)).eval()
    save_model(path, with_torch.export_current(scores, x.shape[1:], opset=20))
    ref = reference(path, test.real())
    save_npz(folder / "calib.npz", **Samples(train.x[:60], SCALE, OFFSET).arrays())
    save_npz(folder / "eval.npz", **test.arrays(), y=test_y, ref=ref)
    save_clip(folder / "clip.npz", np.random.default_rng(1))
    right = accuracy(ref, test_y)
    return [Row.of(path, f"{len(ref)} clips", f"{right:.2%} right ({', '.join(CLASSES)})")]


def save_clip(path: Path, rng: np.random.Generator) -> None:
    """A recording for the application's test: sound, what is said when, and the first features."""
    said = [("yes", 1.2), ("seven", 2.7), ("left", 3.9), ("no", 5.5), ("right", 7.0)]
    sound = recording(rng, said, 8.5)
    starts = np.array([at * RATE for _, at in said], dtype=np.int64)
    labels = np.array([CLASSES.index(word) if word in CLASSES else 0 for word, _ in said])
    features = log_mel(sound[: 2 * RATE]).astype(np.float32)
    save_npz(path, sound=sound, start=starts, y=labels.astype(np.int64), features=features)


def vary(features: torch.Tensor) -> torch.Tensor:
    """Tilts the spectra by up to ±3 nepers and blanks a band or a moment of some."""
    count, mels, frames = features.shape
    tilt = (torch.rand(count, 1, 1) - 0.5) * torch.linspace(-1.0, 1.0, mels).reshape(1, mels, 1)
    varied = features + 2.0 * tilt + 0.05 * torch.randn_like(features)
    band, moment = int(torch.randint(0, mels - 3, ())), int(torch.randint(0, frames - 4, ()))
    varied[: count // 4, band : band + 3] = OFFSET
    varied[count // 4 : count // 2, :, moment : moment + 4] = OFFSET
    return varied
