"""No test may depend on how fast the machine is: hypothesis, too, has no deadline."""

from hypothesis import settings

settings.register_profile("solon", deadline=None)
settings.load_profile("solon")
