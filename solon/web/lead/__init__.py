"""For the lead: how good the labels are, disputes, guidelines, draws."""
