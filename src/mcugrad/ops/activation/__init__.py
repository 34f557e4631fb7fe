"""Functions of one value: clipping, tables, slopes."""
