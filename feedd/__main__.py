import os
import pathlib
import sys


def main():
    from feedd import daemon, logs
    from feedd.errors import StateInUse
    from feedd.settings import load

    logs.configure(sys.stderr)
    cfg = pathlib.Path(sys.argv[2])
    try:
        sys.exit(daemon.run(lambda: load(cfg, environ=os.environ, cwd=pathlib.Path.cwd())))
    except StateInUse as e:
        print(e, file=sys.stderr)
        sys.exit(75)


if __name__ == "__main__":
    main()
