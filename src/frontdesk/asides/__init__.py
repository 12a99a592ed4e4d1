"""What is asked of a model beside a conversation, by itself: its title, what might be asked next."""
