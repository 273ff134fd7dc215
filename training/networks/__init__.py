"""Networks whose answers become labels: classifiers and detectors of several families, each described by a file."""
