"""Real servers, killed and starved."""
