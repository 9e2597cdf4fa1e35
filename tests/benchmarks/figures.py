"""How a benchmark speaks: a line per figure, its bound beside it, and an exit status."""

from dataclasses import dataclass, field


@dataclass
class Figures:
    """What was measured. `missed` names the bounds that did not hold."""

    missed: list[str] = field(default_factory=list)

    def title(self, words: str) -> None:
        """Begin a group of figures."""
        print(f"\n{words}", flush=True)

    def show(self, what: str, figure: str) -> None:
        """A figure without a bound."""
        print(f"  {what:<46}{figure:>16}", flush=True)

    def hold(self, what: str, figure: float, *, at_most: float, unit: str = "") -> None:
        """A figure and its bound."""
        kept, digits = figure <= at_most, 0 if isinstance(figure, int) else 1
        shown = f"{figure:,.{digits}f}{unit and ' '}{unit}"
        bound = f"at most {at_most:,g}{unit and ' '}{unit}"
        print(f"  {what:<46}{shown:>16}   {bound}{'' if kept else '   MISSED'}", flush=True)
        if not kept:
            self.missed.append(what)

    def exit_status(self) -> int:
        """0, or 1 when a bound was missed, which is said again."""
        for what in self.missed:
            print(f"MISSED: {what}")
        return 1 if self.missed else 0
