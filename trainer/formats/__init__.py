"""An export's rows as other trainers and tools read them: one file a format, rows in, files' contents out."""
