"""What answers: engines in this process and, later, remote providers. `base` is the seam that all of them fit."""
