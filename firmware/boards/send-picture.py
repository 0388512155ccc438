#!/usr/bin/env python3
"""Plays the camera: sends pictures of 8 x 8 pixels, as rows, to standard output.

    stty -F /dev/ttyACM0 115200 raw
    ./send-picture.py ../../tools/models/digits/eval.npz 0 7 7 > /dev/ttyACM0

sends the pictures 0, 7 and 7 of the evaluation data. A digit is told when two pictures in a row
show it, so send one twice. Wants numpy.
"""

import sys

import numpy

START = bytes([0xF1, 0x3E])


def crc8(data):
    """CRC-8/SMBUS, as runtime/sensors/src/rows.rs."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ (0x07 if crc & 0x80 else 0)) & 0xFF
    return crc


def main():
    path, *indices = sys.argv[1:]
    data = numpy.load(path)
    pictures = data["x"] * data["x_scale"]  # brightness from 0 to 1
    for index in indices:
        pixels = numpy.rint(pictures[int(index)].reshape(8, 8) * 255).astype(numpy.uint8)
        for row, values in enumerate(pixels):
            checked = bytes([row]) + values.tobytes()
            sys.stdout.buffer.write(START + checked + bytes([crc8(checked)]))
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
