"""The card drivers that come with cardd; each is found through an entry point, never imported by it."""
