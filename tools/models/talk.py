"""Writes a long recording by which the keyword application is judged.

    python tools/models/talk.py MINUTES OUT.npz

A word every two seconds, one in three a keyword, by voices that training has not heard, in rooms
and noise as in training. `cargo run --release -p fixie-application-tests --example hear` says what
the application hears in it.
"""

import argparse
from pathlib import Path

import numpy as np
from recipes import keyword, speech
from recipes.artefacts import save_npz

GAP_SECONDS = 2.0
KEYWORDS = 1 / 3


def talk(rng: np.random.Generator, minutes: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The sound as int16, the first sample of each word, and its class."""
    gap = int(GAP_SECONDS * speech.RATE)
    pieces, classes = [], []
    for _ in range(int(60 * minutes / GAP_SECONDS)):
        label = int(rng.integers(1, len(keyword.CLASSES))) if rng.random() < KEYWORDS else 0
        word = keyword.CLASSES[label] if label else str(rng.choice(keyword.OTHERS))
        spoken = speech.Voice.random(rng, speech.TEST_VARIANTS).say(word)[:gap]
        sound = np.zeros(gap)
        sound[: len(spoken)] = spoken / speech.rms(spoken)
        if rng.random() < 0.5:
            sound = speech.room(rng, sound)
        pieces.append(keyword.heard(rng, sound))
        classes.append(label)
    starts = np.arange(len(classes), dtype=np.int64) * gap
    return np.concatenate(pieces), starts, np.array(classes, dtype=np.int64)


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a long recording of words.")
    parser.add_argument("minutes", type=float)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    sound, start, y = talk(np.random.default_rng(2), arguments.minutes)
    save_npz(arguments.out, sound=sound, start=start, y=y)


if __name__ == "__main__":
    main()
