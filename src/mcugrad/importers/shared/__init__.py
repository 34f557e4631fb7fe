"""What the importers share: computed values, layouts, what operators become, limits, hints."""
