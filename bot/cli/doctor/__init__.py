"""`jit doctor`: one module for each thing that the bot stands on; nothing in here changes anything."""
