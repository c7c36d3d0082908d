"""What cardd decides: who may use which card, when a PIN or a consent is asked, what is signed, what is recorded."""
