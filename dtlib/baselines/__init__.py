"""What learners are compared with."""
