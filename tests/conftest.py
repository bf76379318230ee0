"""What must be so before any test module is imported."""

import os

# Ray's processes and addresses stay on loopback.
os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
