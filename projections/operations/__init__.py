"""What operators see of projections, and what they can do to them."""
