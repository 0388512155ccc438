"""One module per model; each has `make(folder)`, which trains, exports and measures it."""

import os

# Read when a library is first imported, hence here. Kernels of oneDNN sum in an order that depends
# on the machine; sums over threads vary too.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
# TensorFlow is talkative about the machine's missing GPU.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
