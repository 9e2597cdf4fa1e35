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

    def hold(
        self,
        what: str,
        figure: float,
        *,
        at_most: float | None = None,
        at_least: float | None = None,
        unit: str = "",
        excuse: str = "",
    ) -> None:
        """A figure and its bound, one of the two; with an `excuse`, a miss is told and not counted."""
        digits, after = 0 if isinstance(figure, int) else 1, f" {unit}" if unit else ""
        if at_most is not None:
            kept, bound = figure <= at_most, f"at most {at_most:,g}{after}"
        elif at_least is not None:
            kept, bound = figure >= at_least, f"at least {at_least:,g}{after}"
        else:
            raise TypeError("A figure is held against at_most or at_least.")
        shown = f"{figure:,.{digits}f}{after}"
        missed = f"   MISSED{f' ({excuse})' if excuse else ''}"
        print(f"  {what:<46}{shown:>16}   {bound}{'' if kept else missed}", flush=True)
        if not kept and not excuse:
            self.missed.append(what)

    def exit_status(self) -> int:
        """0, or 1 when a bound was missed, which is said again."""
        for what in self.missed:
            print(f"MISSED: {what}")
        return 1 if self.missed else 0
