"""What stays when the words themselves do not fit any more: summaries of what was said, facts that people want kept."""
