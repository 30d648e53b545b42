"""What the domain toolkit adds to the HTTP interface."""
