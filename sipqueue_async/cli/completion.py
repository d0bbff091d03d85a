"""Shell completion of values in `--option=value`, which click answers as if the value were a word of its own."""

from __future__ import annotations

from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
)


class _WholeWord(ShellComplete):
    """Repeats the option before its value: these shells replace the whole word by the answer."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        items = super().get_completions(args, incomplete)
        option, equals, _ = incomplete.partition("=")
        if equals and option.startswith("-"):
            for item in items:
                item.value = f"{option}={item.value}"
        return items


class _Zsh(_WholeWord, ZshComplete):
    pass


class _Fish(_WholeWord, FishComplete):
    pass


class _Bash(BashComplete):
    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the arguments without the equals signs after options: to bash they are words of their own."""
        args, incomplete = super().get_completion_args()
        pairs = zip(args, ["", *args], strict=False)
        return [arg for arg, before in pairs if not (arg == "=" and before.startswith("-"))], incomplete


def complete_values_after_equals_signs() -> None:
    """Use these answers instead of click's."""
    for shell in (_Bash, _Zsh, _Fish):
        add_completion_class(shell)
