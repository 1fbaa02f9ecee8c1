"""What people, metrics and events are, and the rules that hold for them. Pure."""
