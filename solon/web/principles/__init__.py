"""The principle editor: the file, its history, what an edit changes."""
