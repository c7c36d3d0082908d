"""Simulated cards: for the tests, and for makers of practice software who have no card at hand.

A card is a state machine that takes APDUs (``card``); it sits in a virtual reader of a real pcscd (``vpcd``) or in a
reader of this process (``inprocess``). Its people and its certification authorities are fictitious.
"""
