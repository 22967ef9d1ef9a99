"""The digest: its facts from the audit log, its text, its chart, and when each edition is due."""
