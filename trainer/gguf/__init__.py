"""Policies written as GGUF, for llama.cpp."""
