"""Models in memory and on disk: policies, reward models, value heads, and what they say."""
