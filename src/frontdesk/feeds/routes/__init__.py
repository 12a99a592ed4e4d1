"""The routes of feeds: event streams and long polls."""
