"""Freed memory kept by the process, where the C library would hand it back to the system each time.

Training on a CPU frees and asks for the same large tensors at every layer. Each time, the system takes the
pages away and clears new ones: measured on two cores, 121 s of DPO against 77 s without.
"""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h


def keep_freed_memory() -> None:
    """From now on this process keeps what it frees. Does nothing where the C library is not glibc."""
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, -1)
