"""What a model is told of a conversation that is longer than it can be told: pure decisions over counted items."""
