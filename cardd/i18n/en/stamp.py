"""What a visible signature shows on a PDF."""

TEXTS = {
    "stamp.number": "No. {number}",
    "stamp.time": "Signed on {date} at {time} UTC",
    "stamp.date": "%Y-%m-%d",
}
