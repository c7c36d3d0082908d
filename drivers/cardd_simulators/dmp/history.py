"""The access history: as rows for programs, as a page for the patient, as a line for whoever started the sandbox."""

from __future__ import annotations

from html import escape

from cardd_simulators.dmp.records import PATIENT_NAME, Access, Records

Row = dict[str, str | list[str]]
HEADS = {
    "date": "Date",
    "nom": "Professionnel",
    "identifiant": "Identifiant",
    "roles": "Rôles",
    "structure": "Structure",
    "logiciel": "Logiciel",
    "action": "Action",
    "documents": "Documents",
    "mode": "Mode",
    "acces": "Accès",
}


def row(access: Access) -> Row:
    """One access; the date in ISO 8601."""
    return {
        "date": access.when.isoformat(timespec="seconds"),
        "nom": access.name,
        "identifiant": access.person,
        "roles": list(access.roles),
        "structure": access.structure,
        "logiciel": access.software,
        "action": access.action,
        "documents": list(access.documents),
        "mode": access.mode,
        "acces": access.access,
    }


def rows(records: Records) -> list[Row]:
    """What the patient sees, the newest first."""
    return [row(access) for access in records.history]


def line(access: Access) -> str:
    """One access in a line."""
    return "  ".join(_text(value) for value in row(access).values())


def page(records: Records) -> str:
    """The same as ``rows``, in HTML."""
    heads = "".join(f"<th>{head}</th>" for head in HEADS.values())
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(_text(one[name]))}</td>' for name in HEADS)}</tr>" for one in rows(records)
    )
    return (
        '<!DOCTYPE html><html lang="fr"><meta charset="utf-8"><title>SIMULATION – historique des accès</title>'
        "<style>body{font-family:sans-serif}td,th{padding:.2em .6em;text-align:left;border-bottom:1px solid}</style>"
        f"<h1>SIMULATION – historique des accès au dossier de {PATIENT_NAME}</h1>"
        f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></html>"
    )


def _text(value: str | list[str]) -> str:
    return value if isinstance(value, str) else ", ".join(value)
