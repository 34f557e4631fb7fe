"""What moves values and changes none: shapes, slices, enlarging."""
