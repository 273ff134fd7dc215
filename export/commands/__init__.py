"""The commands of ``python -m export``, one a module: ``add(commands)`` registers its parser."""
