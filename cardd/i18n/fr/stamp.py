"""Ce qu'une signature visible montre sur un PDF."""

TEXTS = {
    "stamp.number": "N° {number}",
    "stamp.time": "Signé le {date} à {time} UTC",
    "stamp.date": "%d/%m/%Y",
}
