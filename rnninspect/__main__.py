"""`python -m rnninspect`, and the console script: it imports nothing before Ctrl-C has its exit code."""


def main() -> None:
    """Run the command line; 130 where Ctrl-C comes while it is imported."""
    try:
        from rnninspect.cli import main as run
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    run()


if __name__ == "__main__":
    main()
