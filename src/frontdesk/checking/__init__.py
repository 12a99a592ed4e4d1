"""What `frontdesk check` says of a configuration: what is wrong, what is effective, what may be meant otherwise."""
