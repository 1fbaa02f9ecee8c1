"""`python -m feedd`, and the `feedd` program."""

from feedd.cli import main

if __name__ == "__main__":
    main()
