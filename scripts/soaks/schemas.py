"""Lines of a megabyte of each hostile schema, for each kind of sink: none takes more than a second
and 200 MB. The suite tries some of them.

    scripts/soak schemas [PYTEST ARGUMENTS]
"""

import os
import subprocess
import sys

TESTS = ("tests/unit/test_hostile_schemas.py",)

if __name__ == "__main__":
    call = [sys.executable, "-m", "pytest", "-qs", "--timeout=0", *TESTS, *sys.argv[1:]]
    environment = {**os.environ, "EL_THOROUGH": "1"}
    sys.exit(subprocess.run(call, env=environment, check=False).returncode)
