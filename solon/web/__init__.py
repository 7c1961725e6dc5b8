"""The service: pages and an HTTP API over run folders. Every page is a file; every datum comes as JSON."""
