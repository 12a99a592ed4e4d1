"""The routes of conversations: OpenAI's, and those of an app that lists and searches them."""
