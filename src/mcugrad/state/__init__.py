"""What was learned, outside of a model: files, images of a device's memory, and whether they can be used."""
