"""What says that a part is there: one file for each kind of trigger."""
