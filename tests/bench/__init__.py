"""`make bench`: what cardd costs, against bare PC/SC and its peers in the same run, as ratios and counts."""
