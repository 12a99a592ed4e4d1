"""What is kept of turns that outlive their connection: their requests, their events, and who carries them."""
