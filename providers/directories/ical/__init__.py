"""Calendars in iCalendar's form (RFC 5545): who is on call by a schedule, and when a freeze is."""
