"""A model of the workers: calibrated on recorded runs, checked on runs not used."""
