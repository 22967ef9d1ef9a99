"""A page to look at: every golden card, message, modal and Home tab, as Slack would roughly show it.

``python -m tests.cards [OUT.html]`` writes it. It reads the golden files and draws what is in them; what it cannot
draw is an error, so that nothing on a card goes unseen. It says nothing of Slack's limits, which other tests check.
"""
