"""The shell: command line, configuration, journal, runs. The only package that waits, writes and reads clocks."""

__version__ = "0.1.0"
