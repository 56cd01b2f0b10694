"""The Celery workers of a Sydney transit app: the package that is deployed."""
