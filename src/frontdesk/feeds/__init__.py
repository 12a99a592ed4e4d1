"""What devices are told while they listen: the changes of their person, as they happen."""
