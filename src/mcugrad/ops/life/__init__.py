"""What goes on around steps: schedules, replay, augmentation, watching, checking."""
