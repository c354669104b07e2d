"""Client order ids: a function of the intent, so that the same intent can never be two orders.

An id is two characters that mark the deployment and 16 hexadecimal digits of SHA-256: 18 in all,
the shortest limit among the venues we mean to speak to, with 64 bits of hash. Where a venue wants
another form (a UUID, a prefix of its own), the same id is spelt so, and read back.
"""

import hashlib
from functools import lru_cache
from itertools import pairwise

from engine.venues.trading import IdForm, IdRules

PREFIX_LENGTH = 2
HASH_LENGTH = 16
ID_LENGTH = PREFIX_LENGTH + HASH_LENGTH
HEXADECIMAL = frozenset("0123456789abcdef")
UUID_CUTS = (8, 12, 16, 20)
UUID_MARK = "4a11ce5eed5e"
"""Fills the 12 digits of a UUID that an id and the UUID's version and variant leave free."""


class IdsDoNotFit(ValueError):
    """A venue takes no id that carries 64 bits of hash: it cannot be traded on safely."""


@lru_cache
def deployment_prefix(deployment: str) -> str:
    """Two characters that mark a deployment's orders, from its name."""
    return hashlib.sha256(deployment.encode()).hexdigest()[:PREFIX_LENGTH]


def client_order_id(
    deployment: str, account: str, bot: str, incarnation: int, sequence: int, leg: int, content: str
) -> str:
    """The id of one order: 18 characters 0-9a-f.

    `incarnation` and `sequence` count the bot's starts from nothing and its groups; `content` is
    what is ordered, so that a changed order is another one.
    """
    # The separator is one that no part contains, so no two different intents read alike.
    text = (
        f"{deployment}\x1f{account}\x1f{bot}\x1f{incarnation}\x1f{sequence}\x1f{leg}\x1f{content}"
    )
    digest = hashlib.sha256(text.encode()).hexdigest()
    return deployment_prefix(deployment) + digest[:HASH_LENGTH]


def ours(name: str, prefix: str) -> bool:
    """Whether an id, as the engine spells it, is one of the deployment that the prefix marks."""
    return len(name) == ID_LENGTH and name.startswith(prefix) and HEXADECIMAL.issuperset(name)


def spell(name: str, rules: IdRules) -> str:
    """An id of ours as a venue takes it. Raises IdsDoNotFit, naming the venue's rule."""
    if rules.form is IdForm.UUID:
        # A version 4 UUID by its looks: 18 digits of ours, 12 of the mark, version and variant.
        digits = name[:12] + "4" + name[12:15] + "8" + name[15:18] + UUID_MARK
        edges = (0, *UUID_CUTS, len(digits))
        return "-".join(digits[a:b] for a, b in pairwise(edges))
    spelt = rules.prefix + name
    if rules.form is IdForm.NUMBER or len(spelt) > rules.length_max:
        raise IdsDoNotFit(f"no id with 64 bits of hash fits: {rules.source}")
    if not set(spelt) <= set(rules.alphabet):
        raise IdsDoNotFit(f"an id holds characters that are not taken: {rules.source}")
    return spelt


def read(text: str, rules: IdRules) -> str:
    """What `spell` spelt, back; anything else is given as it is."""
    if rules.form is IdForm.UUID:
        digits = text.replace("-", "").lower()
        marked = len(digits) == 32 and digits.endswith(UUID_MARK)
        if marked and digits[12] == "4" and digits[16] == "8":
            return digits[:12] + digits[13:16] + digits[17:20]
        return text
    return text.removeprefix(rules.prefix)
