"""``python -m imgcluster`` and the ``imgcluster`` command."""


def main() -> None:
    """Run the command line; an interruption is handled from the first import on."""
    from imgcluster.cli.first_signals import end_at_signals

    end_at_signals()
    from imgcluster.cli.interruption import run_interruptibly

    def run() -> None:
        from imgcluster.cli.app import main

        main()

    run_interruptibly(run)


if __name__ == "__main__":
    main()
