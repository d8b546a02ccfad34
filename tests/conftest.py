"""Settings of the whole suite."""

import os

from hypothesis import settings

# The suite tries the same examples every time, however slow the machine is. To look for new ones:
# HYPOTHESIS_PROFILE=explore pytest ...
settings.register_profile("suite", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))
