"""Picture quality: what people think of a picture, with and without its reference to compare it with."""
