"""The tests that every provider of a system passes before its own; `suite` says how to write one and use them."""
