"""The commands of ``python -m training``, one a module: ``add(commands)`` registers its parser."""
