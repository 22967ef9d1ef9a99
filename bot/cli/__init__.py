"""The command line, one module a command: it reads arguments and prints; what it does is done elsewhere."""
