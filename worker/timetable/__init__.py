"""The timetable: from a published archive to indexed tables, swapped in by name."""
