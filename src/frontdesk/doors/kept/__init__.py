"""The routes of what is kept: stored responses and stored chat completions, each its owner's alone."""
