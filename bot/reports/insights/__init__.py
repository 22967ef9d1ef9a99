"""Findings from the audit log: rules, their cases, and what they find. Nothing here acts on a finding."""
