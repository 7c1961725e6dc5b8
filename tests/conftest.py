"""No test may depend on how fast the machine is: hypothesis, too, has no deadline."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small matrices: more threads only wait for each other

from hypothesis import settings

settings.register_profile("solon", deadline=None)
settings.load_profile("solon")
