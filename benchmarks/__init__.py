"""How fast each stage and the whole gateway is, beside what a user would write himself."""
