"""All experiments of fine-tuning, one script after another; what is measured already is not measured again.

python recipes/finetuning/everything.py [--quick]      the options are those of each script
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPTS = ("parts_of_speech", "topics", "names", "answers", "frozen", "adapters", "mixture", "learning_curve")

if __name__ == "__main__":
    for name in SCRIPTS:
        print(f"{name}.py", flush=True)
        subprocess.run([sys.executable, str(Path(__file__).with_name(f"{name}.py")), *sys.argv[1:]], check=True)
