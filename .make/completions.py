"""The completions of the programs for bash, zsh and fish (`make man`), from their parsers.

    completions.py FOLDER     writes FOLDER/bash/cardctl, FOLDER/zsh/_cardctl, FOLDER/fish/cardctl.fish and so on

Commands, options, choices and files are completed; nothing asks the daemon. Zsh and fish tell what each is, in the
language of the locale.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from grammar import Command, Option, programs

from cardd.i18n import LANGUAGES

HEAD = "# made by .make/completions.py of what --help says too"
LOCALE = "${LC_ALL:-${LC_MESSAGES:-$LANG}}"

BASH = """\
_%(name)s() {
    local word=${COMP_WORDS[COMP_CWORD]} path=%(program)s before= each
    COMPREPLY=()
    for each in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case "$path $before" in
            %(takes)s) before=; continue ;;
        esac
        before=$each
        case "$path $each" in
            %(commands)s) path="$path $each" before= ;;
        esac
    done
    case "$path $before" in
%(values)s
    esac
    case "$path" in
%(words)s
    esac
}
complete -F _%(name)s %(program)s
"""


def bash(program: Command, _french: Command) -> Iterator[str]:
    """Yield the completion for bash: it knows where the line is by the commands that stand in it."""
    every = list(program.all())
    valued = [(command, option) for command in every for option in command.options if option.takes_value]
    values = [
        f"        {_bash_places(command, option)}) {_bash_value(option)}; return ;;" for command, option in valued
    ]
    yield HEAD
    yield BASH % {
        "name": _identifier(program),
        "program": program.path[0],
        "takes": " | ".join(_bash_places(command, option) for command, option in valued) or "''",
        "commands": " | ".join(_quoted(command.path) for command in every if command is not program) or "''",
        "values": "\n".join(values),
        "words": "\n".join(f"        {_quoted(command.path)}) {_bash_words(command)} ;;" for command in every),
    }


def _bash_places(command: Command, option: Option) -> str:
    return " | ".join(_quoted((*command.path, flag)) for flag in option.flags)


def _bash_value(option: Option) -> str:
    if option.values:
        return _compgen(" ".join(name for name, _meaning in option.values))
    return 'compopt -o filenames; COMPREPLY=($(compgen -f -- "$word"))' if option.is_file else "COMPREPLY=()"


def _bash_words(command: Command) -> str:
    flags = " ".join(flag for option in command.options for flag in option.flags)
    known = " ".join(
        [one.path[-1] for one in command.inner]
        + [name for argument in command.arguments for name, _meaning in argument.values]
    )
    files = any(argument.is_file for argument in command.arguments)
    otherwise = 'compopt -o filenames; COMPREPLY=($(compgen -f -- "$word"))' if files else _compgen(known or flags)
    return f"if [[ $word == -* ]]; then {_compgen(flags)}; else {otherwise}; fi"


def _compgen(words: str) -> str:
    return f"COMPREPLY=($(compgen -W '{words}' -- \"$word\"))"


def zsh(english: Command, french: Command) -> Iterator[str]:
    """Yield the completion for zsh: a function for each command, in both languages."""
    name = _identifier(english)
    yield f"#compdef {english.path[0]}\n{HEAD}\n"
    for language, program in (("en", english), ("fr", french)):
        for command in program.all():
            yield from _zsh_function(f"_{language}", command)
    yield f'case "{LOCALE}" in\n    fr*) _{name}_fr "$@" ;;\n    *) _{name}_en "$@" ;;\nesac'


def _zsh_function(language: str, command: Command) -> Iterator[str]:
    yield f"_{_identifier(command)}{language}() {{"
    yield "    local curcontext=$curcontext state line ret=1"
    yield "    _arguments -C \\"
    for option in command.options:
        for flag in option.flags:
            action = f":value:{_zsh_action(option)}" if option.takes_value else ""
            yield f"        {_single(f'{flag}[{_zsh_text(option.summary)}]{action}')} \\"
    if command.inner:
        yield "        '1: :->command' '*:: :->rest' && ret=0"
    else:
        for argument in command.arguments[:1]:  # zsh wants one rule for all that follows
            yield f"        {_single(f'*:{_zsh_text(argument.invocation)}:{_zsh_action(argument)}')} \\"
        yield "        && ret=0"
    if command.inner:
        told = " ".join(_single(f"{one.path[-1]}:{one.summary}") for one in command.inner)
        yield f"    case $state in\n    command)\n        local -a commands=({told})"
        yield "        _describe -t commands command commands && ret=0 ;;\n    rest)\n        case $line[1] in"
        for one in command.inner:
            yield f"        {one.path[-1]}) _{_identifier(one)}{language} && ret=0 ;;"
        yield "        esac ;;\n    esac"
    yield "    return ret\n}"


def _zsh_action(option: Option) -> str:
    if option.values:
        return f"({' '.join(name for name, _meaning in option.values)})"
    return "_files" if option.is_file else " "


def _zsh_text(told: str) -> str:
    return re.sub(r"([\[\]:\\])", r"\\\1", told)


def fish(english: Command, french: Command) -> Iterator[str]:
    """Yield the completion for fish: a rule for each option, in force once its command stands in the line."""
    program, name = english.path[0], _identifier(english)
    yield HEAD
    yield FISH % {"name": name, "program": program, "commands": " ".join(_quoted(one.path) for one in english.all())}
    yield f"complete -c {program} -f"
    yield 'if string match -q "fr*" -- "$LC_ALL$LC_MESSAGES$LANG"'
    yield from _fish_rules(french, name)
    yield "else"
    yield from _fish_rules(english, name)
    yield "end"


FISH = """\
function __%(name)s_at
    set -l here %(program)s
    for word in (commandline -opc)[2..-1]
        contains -- "$here $word" %(commands)s; and set here "$here $word"
    end
    test "$here" = "$argv"
end"""


def _fish_rules(program: Command, name: str) -> Iterator[str]:
    for command in program.all():
        rule = f"    complete -c {program.path[0]} -n {_single(f'__{name}_at ' + ' '.join(command.path))}"
        for one in command.inner:
            yield f"{rule} -a {one.path[-1]} -d {_fish_text(one.summary)}"
        for argument in command.arguments:
            if argument.is_file or argument.values:
                yield f"{rule} {_fish_value(argument)}"
        for option in command.options:
            flags = " ".join(f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in option.flags)
            value = f" -r {_fish_value(option)}" if option.takes_value else ""
            yield f"{rule} {flags}{value} -d {_fish_text(option.summary)}"


def _fish_value(option: Option) -> str:
    if option.values:
        return f"-a {_fish_text(' '.join(name for name, _meaning in option.values))}"
    return "-F" if option.is_file else ""


def _fish_text(told: str) -> str:
    escaped = re.sub(r"(['\\])", r"\\\1", told)
    return f"'{escaped}'"


def _identifier(command: Command) -> str:
    return "_".join(command.path).replace("-", "_")


def _quoted(words: tuple[str, ...]) -> str:
    return f'"{" ".join(words)}"'


def _single(text: str) -> str:
    escaped = text.replace("'", "'\\''")
    return f"'{escaped}'"


SHELLS: dict[str, tuple[str, Callable[[Command, Command], Iterator[str]]]] = {
    "bash": ("{}", bash),
    "zsh": ("_{}", zsh),
    "fish": ("{}.fish", fish),
}


def main(folder: Path) -> None:
    """Write all completions."""
    french, english = (programs(language) for language in LANGUAGES)
    for shell, (name, made) in SHELLS.items():
        (folder / shell).mkdir(parents=True, exist_ok=True)
        for pair in zip(english, french, strict=True):
            file = folder / shell / name.format(pair[0].path[0])
            file.write_text("\n".join(made(*pair)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
