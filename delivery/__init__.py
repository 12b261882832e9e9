"""The way out: published marts become a snapshot, emails and a report. Reads marts only."""
