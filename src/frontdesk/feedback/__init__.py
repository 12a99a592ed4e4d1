"""What people say of answers: up or down, why, and what would have been right. Reviewers read it and sum it up."""
