"""Utility for machines (Khan et al., EUSIPCO 2022): labels from networks' answers, training, evaluation."""
