"""`python -m bot` is `jit`."""

from bot.cli.main import main

main()
