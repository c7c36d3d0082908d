"""Textes français."""
