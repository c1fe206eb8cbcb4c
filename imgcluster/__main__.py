"""``python -m imgcluster`` and the ``imgcluster`` command."""

from imgcluster.cli.interruption import run_interruptibly


def main() -> None:
    """Run the command line; an interruption is handled from the first import on."""

    def run() -> None:
        from imgcluster.cli.app import main

        main()

    run_interruptibly(run)


if __name__ == "__main__":
    main()
