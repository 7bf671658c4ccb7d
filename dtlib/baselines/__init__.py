"""What learners are held against."""
