"""The device agent."""
