"""What must never happen, searched for in every order of events, and proved of the protocols on paper."""
