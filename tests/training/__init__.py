"""The training package: data, damage, labels, recipes, metrics."""
