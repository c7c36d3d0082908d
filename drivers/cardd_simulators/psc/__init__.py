"""Pro Santé Connect as a maker of practice software needs it: the login by mobile and in the browser, and who it was.

Addresses, parameters and claims are those that ANS's own examples show; whoever knocks at it learns nothing of PSC's
security. The people are fictitious.
"""
