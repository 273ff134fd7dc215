"""The guided demonstration: ``make demo``."""
