"""The seed's command: ``python testgenerator.py generator_configs/NAME.py`` writes into ``generated_tests/``."""

import sys
from pathlib import Path

try:
    from diembft.errors import InputError
    from diembft.twins.scenarios.seed_generator import generate_file
except ModuleNotFoundError as error:
    print(f"testgenerator.py: {error}: is its environment active?", file=sys.stderr)
    sys.exit(2)

if __name__ == "__main__":
    if len(sys.argv) != 2:
        print("usage: python testgenerator.py generator_configs/NAME.py", file=sys.stderr)
        sys.exit(2)
    try:
        generated = generate_file(Path(sys.argv[1]))
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    print(f"{generated.path}: {generated.written} scenarios, of {generated.possible} that the configuration describes")
