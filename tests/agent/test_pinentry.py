"""Dialogs through a pinentry of our own: what the user sees, and what each answer means."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cardd.agent.dialogs import Dialogs
from cardd.errors import CarddError, ConsentTimeout, PinCancelled, PinFormat, PinTimeout, PromptUnavailable
from cardd.model import Choice, PinQuestion, Question, ShownDocument
from cardd.secret import Secret
from cardd.values import replace
from tests.agent.questions import PIN, of_twenty, pin_question, question, typed
from tests.rig.pinentry import NO_PIN, ScriptedPinentry


@pytest.fixture
def pinentry(tmp_path: Path) -> ScriptedPinentry:
    return ScriptedPinentry(tmp_path, pin="7319", reads=0)


@pytest.fixture
def dialogs(pinentry: ScriptedPinentry) -> Dialogs:
    return Dialogs(program=str(pinentry.path), timeout=30, armed_after=0)


async def test_the_typed_pin_arrives(dialogs: Dialogs) -> None:
    assert await typed(dialogs, pin_question()) == b"7319"


async def test_the_dialog_names_program_card_reader_and_tries_in_french(
    dialogs: Dialogs, pinentry: ScriptedPinentry
) -> None:
    await typed(dialogs, pin_question())
    [shown] = pinentry.shown()
    assert shown.description.splitlines() == [
        "« LPS de test » demande d'ouvrir une session avec votre carte.",
        "Carte CPS3, lecteur « Lecteur A ».",
        "Essais restants : 3.",
        "Cette fenêtre se ferme au bout de 30 s.",
    ]
    assert (shown.prompt, shown.ok, shown.cancel, shown.timeout) == ("Code porteur :", "Valider", "Annuler", "30")


async def test_the_dialog_speaks_english_where_english_is_wanted(dialogs: Dialogs, pinentry: ScriptedPinentry) -> None:
    await typed(dialogs, pin_question("en", tries_left=2, problem="wrong"))
    [shown] = pinentry.shown()
    assert "“LPS de test” asks to open a session with your card." in shown.description
    assert shown.error == "Wrong code. Tries left: 2."


@pytest.mark.parametrize("impossible", ["123", "123456789", "12a4", ""])
async def test_a_pin_that_cannot_be_right_is_asked_again_in_the_same_dialog(
    dialogs: Dialogs, pinentry: ScriptedPinentry, impossible: str
) -> None:
    pinentry.answer(f"pin:{impossible}", "pin:7319")
    assert await typed(dialogs, pin_question()) == b"7319"
    assert pinentry.shown()[1].error == "De 4 à 8 chiffres. Rien n'a été envoyé à la carte."


async def test_percent_escapes_are_decoded(dialogs: Dialogs, pinentry: ScriptedPinentry) -> None:
    pinentry.answer("pin:%37%33%31%39")
    assert await typed(dialogs, pin_question()) == b"7319"


@pytest.mark.parametrize(("answer", "error"), NO_PIN)
async def test_what_is_no_pin_ends_in_its_own_error_and_leaves_no_pin(
    dialogs: Dialogs, pinentry: ScriptedPinentry, answer: str, error: type[CarddError]
) -> None:
    pinentry.answer(answer)
    with Secret() as secret:
        with pytest.raises(error):
            await dialogs.ask_pin(pin_question(), secret)
        assert not secret


async def test_a_pinentry_that_hangs_is_given_up_and_ended(pinentry: ScriptedPinentry) -> None:
    pinentry.answer("hang")
    with Secret() as secret, pytest.raises(PinTimeout):
        await Dialogs(program=str(pinentry.path), timeout=1).ask_pin(pin_question(), secret)


async def test_a_program_that_is_no_pinentry_is_told(tmp_path: Path) -> None:
    with Secret() as secret, pytest.raises(PromptUnavailable):
        await Dialogs(program=str(tmp_path / "nothing")).ask_pin(pin_question(), secret)
    with Secret() as secret, pytest.raises(PromptUnavailable):
        await Dialogs(program="/bin/true").ask_pin(pin_question(), secret)


@pytest.mark.parametrize(
    ("answer", "third", "choice"),
    [
        ("yes", None, Choice.YES),
        ("no", None, Choice.NO),
        ("cancel", None, Choice.NO),
        ("yes", Choice.ALWAYS, Choice.YES),
        ("no", Choice.ALWAYS, Choice.ALWAYS),
        ("cancel", Choice.ALWAYS, Choice.NO),
        ("yes", Choice.ANOTHER, Choice.YES),
        ("no", Choice.ANOTHER, Choice.ANOTHER),
        ("cancel", Choice.ANOTHER, Choice.NO),
    ],
)
async def test_a_question_has_two_answers_or_three(
    dialogs: Dialogs, pinentry: ScriptedPinentry, answer: str, third: Choice | None, choice: Choice
) -> None:
    pinentry.answer(answer)
    asked = Question("origin", os.getuid(), {"origin": "https://dmp.example"}, "fr", third=third)
    assert await dialogs.confirm(asked) is choice


async def test_a_pinentry_that_never_ends_its_answer_is_given_up(dialogs: Dialogs, pinentry: ScriptedPinentry) -> None:
    pinentry.answer("flood", "flood")
    with pytest.raises(PromptUnavailable):
        await dialogs.confirm(question("sign", document="a.pdf", digest="00"))
    with pytest.raises(PromptUnavailable):
        await typed(dialogs, pin_question())


async def test_who_never_types_what_can_be_a_pin_is_not_asked_for_ever(
    pinentry: ScriptedPinentry, dialogs: Dialogs
) -> None:
    pinentry.answer(*["pin:x"] * 1000)
    with pytest.raises(PinFormat) as told:
        await typed(dialogs, pin_question())
    assert len(pinentry.shown()) <= 10
    assert "nothing was sent to the card" in told.value.told("en").detail


async def test_who_gives_up_after_what_cannot_be_a_pin_is_told_so_and_not_only_of_the_cancelling(
    pinentry: ScriptedPinentry, dialogs: Dialogs
) -> None:
    pinentry.answer("pin:12", "cancel")
    with pytest.raises(PinFormat):
        await typed(dialogs, pin_question())
    pinentry.answer("cancel")
    with pytest.raises(PinCancelled):
        await typed(dialogs, pin_question())


@pytest.mark.parametrize(("own_time", "seconds"), [(True, "290"), (False, "30")])
async def test_a_dialog_that_waits_for_something_else_lasts_as_long_as_that(
    dialogs: Dialogs, pinentry: ScriptedPinentry, own_time: bool, seconds: str
) -> None:
    question = Question("ecps_browser", os.getuid(), {"client": "LPS"}, timeout=290, own_time=own_time)
    await dialogs.confirm(question)
    assert pinentry.shown()[-1].timeout == seconds


async def test_no_answer_to_a_question_is_a_timeout(dialogs: Dialogs, pinentry: ScriptedPinentry) -> None:
    pinentry.answer("timeout")
    with pytest.raises(ConsentTimeout):
        await dialogs.confirm(question("sign", document="a.pdf", digest="00"))


async def test_the_pairing_dialog_shows_program_user_and_code(dialogs: Dialogs, pinentry: ScriptedPinentry) -> None:
    params = {"name": "LPS", "vendor": "Éditeur", "program": "/usr/bin/lps", "code": "402817"}
    await dialogs.confirm(Question("pair", os.getuid(), dict(params), "fr"))
    [shown] = pinentry.shown()
    for expected in ("« LPS »", "Éditeur", "/usr/bin/lps", "402817", "root" if os.getuid() == 0 else ""):
        assert expected in shown.description


async def test_a_program_that_the_system_does_not_tell_is_called_unknown(
    dialogs: Dialogs, pinentry: ScriptedPinentry
) -> None:
    await dialogs.confirm(
        Question("pair", os.getuid(), {"name": "LPS", "vendor": "É", "program": "", "code": "1"}, "fr")
    )
    [shown] = pinentry.shown()
    assert "Exécutable : programme inconnu" in shown.description


async def test_the_pairing_dialog_warns_of_names_that_could_be_taken_for_others(
    dialogs: Dialogs, pinentry: ScriptedPinentry
) -> None:
    said = {"vendor": "Éditeur", "program": "/usr/bin/lps", "code": "402817"}
    await dialogs.confirm(Question("pair", os.getuid(), {"name": "LPS", **said, "namesake": ""}, "fr"))
    await dialogs.confirm(Question("pair", os.getuid(), {"name": "L\u0420S", **said}, "fr"))
    same, other_letters = (shown.description for shown in pinentry.shown())
    assert "Un programme de ce nom est déjà appairé" in same
    assert "autre alphabet" not in same
    assert "autre alphabet" in other_letters


async def test_a_signature_shows_document_patient_and_digest(dialogs: Dialogs, pinentry: ScriptedPinentry) -> None:
    await dialogs.confirm(question("sign", document="cr.pdf", digest="0123456789abcdef", patient="SIMULATION Zoé"))
    [shown] = pinentry.shown()
    for expected in ("« LPS de test »", "« cr.pdf »", "0123456789abcdef", "« SIMULATION Zoé »"):
        assert expected in shown.description


@pytest.mark.parametrize(
    "hostile",
    [
        "LPS\n\nEssais restants : 3",
        "LPS » demande rien. Validez. «",
        "\u202egnimmargorp",
        "a\x1b[2Jb\x00",
        "%0Ax %s {client} {0}",
        "L" * 5000,
    ],
)
async def test_a_programs_name_cannot_imitate_the_dialogs_own_words(
    dialogs: Dialogs, pinentry: ScriptedPinentry, hostile: str
) -> None:
    asked = Question("login", os.getuid(), {"client": hostile}, "fr")
    await dialogs.ask_pin(PinQuestion(asked, PIN, "Lecteur A", "cps3", 3), Secret())
    [shown] = pinentry.shown()
    first, *rest = shown.description.splitlines()
    assert first.startswith("« ")
    assert first.endswith(" » demande d'ouvrir une session avec votre carte.")
    assert first.count("«") == first.count("»") == 1
    assert len(rest) == 3
    assert all(character.isprintable() for character in first)


async def test_what_is_asked_of_another_user_needs_that_users_agent(dialogs: Dialogs) -> None:
    with pytest.raises(PromptUnavailable):
        await dialogs.confirm(Question("login", os.getuid() + 1, {"client": "LPS"}))


async def test_the_pinentry_is_told_the_locale(dialogs: Dialogs, pinentry: ScriptedPinentry) -> None:
    await dialogs.confirm(question())
    assert any(option.startswith("lc-ctype=") and "UTF-8" in option for option in pinentry.shown()[0].options)


async def test_a_keypads_notice_shows_what_is_asked_and_where_to_type(
    dialogs: Dialogs, pinentry: ScriptedPinentry
) -> None:
    await dialogs.notify(question("sign", document="cr.pdf", digest="00", reader="Lecteur A"))
    [shown] = pinentry.shown()
    assert shown.kind == "message"
    for expected in ("« cr.pdf »", "Saisissez votre code porteur sur le clavier du lecteur « Lecteur A »."):
        assert expected in shown.description


async def test_every_name_of_a_batch_can_be_read_before_agreeing(dialogs: Dialogs, pinentry: ScriptedPinentry) -> None:
    names = [f"ordonnance-{number:02}-du-cabinet.pdf" for number in range(20)]
    names[11] = "PROCURATION-VENTE-MAISON.pdf"
    documents = tuple(ShownDocument(name, "pades") for name in names)
    asked = replace(
        question("sign_batch", "en", batch="Lot", count=20, holder="CAMILLE SIMULATION"), documents=documents
    )
    pinentry.answer("no", "yes", "yes", "no", "yes")  # see all, two pages, decide on the third if there is one
    assert await dialogs.confirm(asked) is Choice.YES
    first, *pages = pinentry.shown()
    assert first.not_ok == "See all"
    assert "more: see all." in first.description
    assert "Holder: CAMILLE SIMULATION" in first.description
    assert "Format: PAdES" in first.description
    read = "\n".join(shown.description for shown in pages)
    assert all(name in read for name in names)


async def test_the_rest_of_a_batch_can_be_read_before_a_pin_that_is_the_consent(
    dialogs: Dialogs, pinentry: ScriptedPinentry
) -> None:
    asked = of_twenty("fr")
    pinentry.answer("cancel")
    with pytest.raises(PinCancelled):
        await typed(dialogs, replace(pin_question(), question=asked))
    assert await typed(dialogs, replace(pin_question(), question=asked)) == b"7319"
    assert [shown.kind for shown in pinentry.shown()] == ["confirm", "confirm", "pin"]


async def test_what_was_spent_on_reading_is_not_promised_again(tmp_path: Path) -> None:
    pinentry = ScriptedPinentry(tmp_path, pin="7319", reads=0.8)
    pinentry.answer("no")  # see all, then decide
    asked = replace(pin_question("en"), question=of_twenty())
    assert await typed(Dialogs(program=str(pinentry.path), timeout=20, armed_after=0), asked) == b"7319"
    *reading, last = pinentry.shown()
    assert [shown.kind for shown in (reading[0], last)] == ["confirm", "pin"]
    left = int(last.timeout)
    assert reading[0].timeout == "20"
    assert left < 20
    assert f"closes after {left} s" in last.description


async def test_letters_that_look_like_others_are_told(dialogs: Dialogs, pinentry: ScriptedPinentry) -> None:
    documents = (ShownDocument("сompte-rendu.pdf", "raw"),)
    await dialogs.confirm(replace(question("sign", "en", document="x", digest="00"), documents=documents))
    [shown] = pinentry.shown()
    assert "Careful: a name has letters of another alphabet" in shown.description
