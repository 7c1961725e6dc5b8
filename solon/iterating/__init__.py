"""`solon iterate`: a policy is sampled, judged, trained and evaluated again and again, each round a run of its own."""
