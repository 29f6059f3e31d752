"""Runs a script of ours without what libraries have to say when they are imported.

python scripts/quietly.py SCRIPT [ARGUMENTS]
"""

import runpy
import sys

from el_beam.running.process import quiet

del sys.argv[0]
with quiet():
    runpy.run_path(sys.argv[0], run_name="__main__")
