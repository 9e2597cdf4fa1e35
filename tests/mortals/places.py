"""The places at which a worker can be killed or held up, by name."""

from tests.mortals.hooks import Commit, Function, Hook, Statement, Wire

CLAIM = "publishing.services.claim:claim_item"
SETTLE = "publishing.services.settle:settle_attempt"
LOOK = "publishing.services.reconcile:look_for_attempt"
NOTE_LOOK = "publishing.services.looks:note_look"
RECORD = "workspaces.audit:record"
CREATE_POST = "x_integration.client:XClient.create_post"
RENEW = "x_integration.services.tokens:token_after_unauthorized"
HOLD = "workspaces.services.switches:place_hold"
ITEM = r'UPDATE "publishing_queueitem"'
ATTEMPT = r'UPDATE "publishing_publishattempt"'
NEW_ATTEMPT = r'INSERT INTO "publishing_publishattempt"'
ITEM_LOCK = r'FROM "publishing_queueitem".* FOR NO KEY UPDATE'
POSTING, READING, RENEWING = "POST /2/tweets", r"GET /2/users/\d+/tweets", "POST /2/oauth2/token"

PLACES: dict[str, Hook] = {
    # claim
    "before the claim": Function(CLAIM),
    "claim: rows locked": Statement(ITEM_LOCK, "after", (CLAIM,)),
    "claim: gates asked": Function("publishing.services.gates:first_block", "after", (CLAIM,)),
    "claim: item moved": Statement(ITEM, "after", (CLAIM,)),
    "claim: attempt written": Statement(NEW_ATTEMPT, "after", (CLAIM,)),
    "claim: audited": Function(RECORD, "after", (CLAIM,)),
    "claim: before COMMIT": Commit(NEW_ATTEMPT, "before", (CLAIM,)),
    "claim: after COMMIT": Commit(NEW_ATTEMPT, "after", (CLAIM,)),
    # call
    "call: begun": Function(CREATE_POST),
    "call: connected, nothing sent": Wire(POSTING, moment="connected"),
    "call: headers sent": Wire(POSTING, moment="headers sent"),
    "call: half of the body sent": Wire(POSTING, moment="half of the body sent"),
    "call: sent, no answer yet": Wire(POSTING, moment="sent"),
    "call: answer begun": Wire(POSTING, moment="answer begun"),
    "call: answer read": Function(CREATE_POST, "after"),
    # settle
    "before the settle": Function(SETTLE),
    "settle: item moved": Statement(ITEM, "after", (SETTLE,)),
    "settle: attempt closed": Statement(ATTEMPT, "after", (SETTLE,)),
    "settle: audited": Function(RECORD, "after", (SETTLE,)),
    "settle: before COMMIT": Commit(ATTEMPT, "before", (SETTLE,)),
    "settle: after COMMIT": Commit(ATTEMPT, "after", (SETTLE,)),
    "hold placed, nothing settled": Function(HOLD, "after"),
    # reconcile
    "sweep: doubt before COMMIT": Commit(ATTEMPT, "before", (SETTLE,)),
    "sweep: doubted, not looked": Function(LOOK),
    "look: asked, no answer yet": Wire(READING, moment="sent"),
    "look: timeline read": Function(SETTLE, "before", (LOOK,)),
    "look: confirm before COMMIT": Commit(ATTEMPT, "before", (LOOK, SETTLE)),
    "look: confirm after COMMIT": Commit(ATTEMPT, "after", (LOOK, SETTLE)),
    "look in vain: not noted": Function(NOTE_LOOK),
    "look in vain: before COMMIT": Commit(ATTEMPT, "before", (NOTE_LOOK,)),
    "look in vain: after COMMIT": Commit(ATTEMPT, "after", (NOTE_LOOK,)),
    "expiry: before COMMIT": Commit(ITEM, "before"),
    # a person's decision
    "decision: item moved": Statement(ITEM, "after"),
    "decision: audited": Function(RECORD, "after"),
    "decision: before COMMIT": Commit(ITEM, "before"),
    "decision: after COMMIT": Commit(ITEM, "after"),
    # a 401 between two claims
    "401: released, nothing noted": Function(RENEW),
    "401: renewal sent, no answer yet": Wire(RENEWING, moment="sent"),
    "401: pair granted, not kept": Function("x_integration.client:XClient.refresh_token", "after"),
    "401: renewed": Function(RENEW, "after"),
    "401: second claim after COMMIT": Commit(NEW_ATTEMPT, "after", (CLAIM,), nth=2),
    "401: second call sent": Wire(POSTING, moment="sent", nth=2),
}
