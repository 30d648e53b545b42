"""What operators can see of projections and do to them: status, lag, actions and diagnostics."""
