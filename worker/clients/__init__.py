"""Ways to the outside: open, time-limit, name the error; rooms own their statements."""
