"""What people come for, one file for each task."""
