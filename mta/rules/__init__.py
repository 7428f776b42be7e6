"""What to decide: pure functions and state machines over the model."""
