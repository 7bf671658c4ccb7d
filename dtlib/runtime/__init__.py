"""What every program needs: errors, files, seeds, devices, and where things lie."""
