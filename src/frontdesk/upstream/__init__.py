"""The scripted provider as a server of its own: it speaks the providers' dialects, and fails as they do."""
