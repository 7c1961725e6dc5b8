"""The people of the service: names, passwords, sessions, links."""
