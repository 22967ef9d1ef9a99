"""What stands out in the record: rules, their cases, and what was found; nothing in here acts on it."""
