"""`python -m bot` is `jit`."""

from bot.cli import main

main()
