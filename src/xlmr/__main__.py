"""`python -m xlmr`: the command line."""

from xlmr.cli import main

if __name__ == "__main__":
    main()
