"""What a view gets and how it is found: the seam between HTTP and the simulator's work."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from werkzeug.wrappers import Request, Response

from x_integration.simulator.bill import cost_of
from x_integration.simulator.dialects import Dialect, spoken_in
from x_integration.simulator.grants import Family
from x_integration.simulator.journal import Event
from x_integration.simulator.problems import no_credits
from x_integration.simulator.world import User

if TYPE_CHECKING:
    from x_integration.simulator.app import Simulator


@dataclass(slots=True)
class Call:
    """One request while it is worked on; the state's lock is held."""

    simulator: "Simulator"
    request: Request
    args: Mapping[str, str]
    now: int
    family: Family | None = None

    @property
    def query(self) -> Mapping[str, str]:
        return self.request.args

    @property
    def dialect(self) -> Dialect:
        """The words that this request asked to be answered in. Raises Refusal for a mixture."""
        return spoken_in(self.query, self.simulator.dialect)

    @property
    def caller(self) -> User:
        """Who the bearer token speaks for."""
        if self.family is None:
            raise LookupError("this route asks for no bearer token")
        return self.simulator.state.world.users[self.family.user_id]

    def pay(self, kind: str) -> None:
        """Charge for what the call is about to do. Raises Refusal (402) where the credit ends."""
        user, bill = self.caller, self.simulator.state.bill
        self._pay([bill.act(user.id, kind, now=self.now)])

    def pay_for(self, resources: Mapping[str, Iterable[int]]) -> None:
        """Charge for the ids of each kind that the call is about to return. Raises Refusal (402)."""
        user, bill = self.caller, self.simulator.state.bill
        charges = [bill.read(user.id, kind, ids, now=self.now) for kind, ids in resources.items()]
        self._pay([charge for charge in charges if charge is not None])

    def _pay(self, charges: list[Event]) -> None:
        """All of the charges, or none."""
        bill, credit = self.simulator.state.bill, self.simulator.settings.credit_usd
        after = bill.total + sum(map(cost_of, charges))
        if charges and credit is not None and after > Decimal(str(credit)):
            raise no_credits(dialect=self.dialect.name)
        bill.charge(charges)


View = Callable[[Call], Response]


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path in werkzeug's notation. `scopes` is None where no bearer is asked for."""

    method: str
    path: str
    view: View
    scopes: frozenset[str] | None = None

    @property
    def template(self) -> str:
        """As X's documentation writes it: GET /2/users/{id}/mentions."""
        return f"{self.method} {self.path.replace('<', '{').replace('>', '}')}"

    @property
    def writes(self) -> bool:
        """Whether it says or takes back something in the account's name."""
        return "tweet.write" in (self.scopes or ())

    @property
    def is_control(self) -> bool:
        return self.path.startswith("/control")
