"""Pictures and what is truly in them, as the field's data sets store them."""
