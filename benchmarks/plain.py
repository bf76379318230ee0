"""A plain implementation of the dispute model: the yardstick for speed and the oracle for tests.

Written from the model's description alone and sharing nothing with the kernel but names: the nine steps in
their order, every trial carried to the horizon in float64, fresh random numbers in every week, a batch of
trials at a time. It is how one would
first write the model with numpy, without optimisation.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from sim.scenario.scenario import Scenario
from sim.scenario.vocabulary import OUTCOMES, RULINGS, STAGES

BATCH = 16_384

QUIET, THREAT, SANCTIONS, BACKED_DOWN, WITHDRAWN = range(5)
NONE, CONSULTATION, PANEL, APPEAL, COMPLIANCE, RETALIATION, UPHELD, COMPLIED, LAPSED = (
    STAGES.index(stage)
    for stage in (
        "none",
        "consultation",
        "panel",
        "appeal",
        "compliance",
        "retaliation",
        "upheld",
        "complied",
        "lapsed",
    )
)
NEVER = -1


@dataclass(frozen=True)
class TariffEffects:
    """Annual effects of a tariff in bn a year: arrays with one value for each trial."""

    exporter_loss: np.ndarray
    buyer_loss: np.ndarray
    trade_fall: np.ndarray


@dataclass
class Disputes:
    """The state of a batch of trials: arrays of shape (trials,), or (issues, trials)."""

    state: np.ndarray
    deadline: np.ndarray
    credibility: np.ndarray
    defiant: np.ndarray
    retaliation: np.ndarray
    stage: np.ndarray
    stage_end: np.ndarray
    for_target: np.ndarray
    sender_position: np.ndarray
    target_position: np.ndarray
    settled: np.ndarray
    reframed: np.ndarray
    agreement_week: np.ndarray
    threat_week: np.ndarray
    sanctions_week: np.ndarray
    filing_week: np.ndarray
    ruling_week: np.ndarray
    sanctions_weeks: np.ndarray
    retaliation_weeks: np.ndarray
    extensions: np.ndarray
    sender_cost: np.ndarray
    target_cost: np.ndarray
    lapsed: np.ndarray
    lapse_week: np.ndarray
    breach_week: np.ndarray
    partial_deal: np.ndarray
    share_at_agreement: np.ndarray

    @property
    def going(self) -> np.ndarray:
        """Trials without an agreement so far."""
        return self.agreement_week == NEVER

    @property
    def in_force(self) -> np.ndarray:
        """Trials that continue with sanctions in force."""
        return self.going & (self.state == SANCTIONS)

    @property
    def case_running(self) -> np.ndarray:
        """Trials with a case pending, or decided for the target and not yet closed."""
        return (self.stage >= CONSULTATION) & (self.stage <= RETALIATION)


def play_plain(
    scenario: Scenario,
    strategy: str,
    seed: int,
    count: int,
    points: Mapping[str, np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """Play `count` trials; the columns of `sim.model.kernel.simulate`, with its kinds and its nulls.

    `points` gives parameters that are not to be drawn, as float64 arrays of shape (count,) by name.
    """
    rng = np.random.default_rng(seed)
    batches = []
    for start in range(0, count, BATCH):
        size = min(BATCH, count - start)
        drawn = _draw_parameters(scenario, strategy, size, rng)
        for name, values in (points or {}).items():
            drawn[name] = np.asarray(values[start : start + size], np.float64)
        batch = _play_batch(scenario, drawn, size, rng)
        batch["trial"] = np.arange(start, start + size)
        batches.append(batch)
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def tariff_effects(
    trade: np.ndarray, tariff: np.ndarray, demand_elasticity: np.ndarray, supply_elasticity: np.ndarray
) -> TariffEffects:
    """The model's tariff incidence with constant elasticities, formula by formula."""
    wedge = np.log(1 + tariff)
    both = supply_elasticity + demand_elasticity
    exporter_price = np.exp(-demand_elasticity * wedge / both)
    buyer_price = np.exp(supply_elasticity * wedge / both)
    quantity = np.exp(-demand_elasticity * supply_elasticity * wedge / both)
    unit = np.abs(demand_elasticity - 1) < 1e-9
    power = np.where(unit, 1.0, 1 - demand_elasticity)
    surplus = np.where(unit, np.log(buyer_price), (buyer_price**power - 1) / power)
    return TariffEffects(
        trade * (1 - exporter_price ** (supply_elasticity + 1)) / (supply_elasticity + 1),
        trade * surplus - trade * (buyer_price - exporter_price) * quantity,
        trade * (1 - exporter_price * quantity),
    )


def _draw_parameters(scenario: Scenario, strategy: str, size: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Every parameter's values; a Gaussian copula ties those between which the scenario has a correlation."""
    distributions = scenario.parameters(strategy)
    tied = sorted({name for correlation in scenario.correlations for name in correlation.between})
    uniforms = {}
    if tied:
        pearson = np.eye(len(tied))
        for correlation in scenario.correlations:
            i, j = (tied.index(name) for name in correlation.between)
            pearson[i, j] = pearson[j, i] = 2 * np.sin(np.pi / 6 * correlation.spearman)
        normals = rng.multivariate_normal(np.zeros(len(tied)), pearson, size, method="eigh")
        uniforms = dict(zip(tied, ndtr(normals).T, strict=True))
    return {
        name: distribution.quantile(uniforms[name] if name in uniforms else rng.random(size))
        for name, distribution in distributions.items()
    }


def _play_batch(
    scenario: Scenario, points: dict[str, np.ndarray], size: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    drawn = points
    weeks = {
        name: np.maximum(np.rint(points[name]), 1)
        for name in (
            "threat_earliest_week",
            "tranches",
            "tranche_weeks",
            "deadline_weeks",
            "extension_weeks",
            "consultation_weeks",
            "panel_weeks",
            "appeal_weeks",
            "compliance_weeks",
        )
    }
    points = drawn | weeks
    sanctions = tariff_effects(
        points["sanctioned_trade"],
        points["tariff_rate"],
        points["import_elasticity"],
        points["supply_elasticity"],
    )
    retaliation = tariff_effects(
        points["sanctioned_trade"] * points["retaliation_share"],
        points["retaliation_tariff"],
        points["retaliation_import_elasticity"],
        points["retaliation_supply_elasticity"],
    )
    disputes = _open_disputes(scenario, points, size)
    _begin_under_sanctions(disputes, points, rng)
    for week, session in enumerate(scenario.session_calendar(), 1):
        _live_with_agreement(scenario, disputes, points, sanctions, week, rng)
        _announce(scenario, disputes, points, week, rng)
        _reframe(scenario, disputes, points, session, rng)
        _concede(scenario, disputes, points, sanctions, retaliation, week, session, rng)
        _accrue_costs(scenario, disputes, points, sanctions, retaliation, week)
        _agree(scenario, disputes, points, week)
        _tire(disputes, points, rng)
        _litigate(disputes, points, week, rng)
        _meet_deadline(scenario, disputes, points, week, rng)
        _end_after_retreat(disputes, points, week, rng)
    return _read(scenario, disputes, points, sanctions, retaliation) | {
        name: drawn[name].astype(np.float32) for name in scenario.uncertain
    }


def _open_disputes(scenario: Scenario, points: dict[str, np.ndarray], size: int) -> Disputes:
    def never() -> np.ndarray:
        return np.full(size, NEVER)

    def no() -> np.ndarray:
        return np.zeros(size, bool)

    gap = _of_issues(scenario, points, "gap")
    return Disputes(
        state=np.full(size, QUIET),
        deadline=np.zeros(size),
        credibility=np.zeros(size),
        defiant=no(),
        retaliation=no(),
        stage=np.full(size, NONE),
        stage_end=np.zeros(size),
        for_target=no(),
        sender_position=np.ones_like(gap),
        target_position=1 - gap,
        settled=np.zeros(gap.shape, bool),
        reframed=np.zeros(gap.shape, bool),
        agreement_week=never(),
        threat_week=never(),
        sanctions_week=never(),
        filing_week=never(),
        ruling_week=never(),
        sanctions_weeks=np.zeros(size, int),
        retaliation_weeks=np.zeros(size, int),
        extensions=np.zeros(size, int),
        sender_cost=np.zeros(size),
        target_cost=np.zeros(size),
        lapsed=no(),
        lapse_week=never(),
        breach_week=never(),
        partial_deal=no(),
        share_at_agreement=np.zeros(size),
    )


def _begin_under_sanctions(disputes: Disputes, points: dict[str, np.ndarray], rng: np.random.Generator) -> None:
    """Sanctions that are in force as the dispute begins, as if imposed in week 0."""
    already = _happens(rng, points["sanctions_at_start"])
    disputes.state[already] = SANCTIONS
    disputes.sanctions_week[already] = 0
    disputes.defiant |= already & _happens(rng, points["defiance_probability"])
    _file(disputes, points, already & _happens(rng, points["file_on_sanctions"]), 1)
    disputes.retaliation |= already & _happens(rng, points["unilateral_retaliation"])


def _settled_weight(scenario: Scenario, disputes: Disputes) -> np.ndarray:
    return np.array([issue.weight for issue in scenario.issues]) @ disputes.settled


def _share_in_force(disputes: Disputes, points: dict[str, np.ndarray], week: int) -> np.ndarray:
    """The share of the tranches in force in a week, where sanctions are."""
    further = np.floor((week - disputes.sanctions_week - 1) / points["tranche_weeks"])
    return np.minimum(points["tranches"], 1 + further) / points["tranches"]


def _live_with_agreement(
    scenario: Scenario,
    disputes: Disputes,
    points: dict[str, np.ndarray],
    sanctions: TariffEffects,
    week: int,
    rng: np.random.Generator,
) -> None:
    """The weeks after an agreement: residual sanctions, and a breach."""
    agreed = ~disputes.going
    year = (1 + scenario.discount_rate) ** (-week / 52) / 52
    left = np.where(agreed & (disputes.state == SANCTIONS), points["residual_sanctions"], 0.0)
    disputes.sender_cost += year * sanctions.buyer_loss * left * disputes.share_at_agreement
    disputes.target_cost += year * sanctions.exporter_loss * left * disputes.share_at_agreement
    keeps = agreed & (disputes.breach_week == NEVER)
    disputes.breach_week[keeps & _happens(rng, points["breach_probability"])] = week


def _of_issues(scenario: Scenario, points: dict[str, np.ndarray], name: str) -> np.ndarray:
    return np.array([points[f"issues.{issue.name}.{name}"] for issue in scenario.issues])


def _happens(rng: np.random.Generator, probability: np.ndarray) -> np.ndarray:
    return rng.random(probability.shape) < probability


def _file(disputes: Disputes, points: dict[str, np.ndarray], files: np.ndarray, week: int) -> None:
    disputes.filing_week[files] = week
    disputes.stage[files] = CONSULTATION
    disputes.stage_end[files] = week + points["consultation_weeks"][files] - 1


def _announce(
    scenario: Scenario, disputes: Disputes, points: dict[str, np.ndarray], week: int, rng: np.random.Generator
) -> None:
    """Step 1."""
    may = disputes.going & (disputes.state == QUIET) & (week >= points["threat_earliest_week"])
    eagerness = 1 - points["patience"] * _settled_weight(scenario, disputes)
    announced = may & _happens(rng, 1 - (1 - points["threat_probability"]) ** eagerness)
    disputes.lapsed[announced] = False
    disputes.lapse_week[announced] = NEVER
    disputes.state[announced] = THREAT
    disputes.threat_week[announced] = week
    disputes.deadline[announced] = week + points["deadline_weeks"][announced]
    disputes.credibility[announced] = points["credibility"][announced]
    disputes.defiant |= announced & _happens(rng, points["defiance_probability"])
    _file(disputes, points, announced & _happens(rng, points["file_on_threat"]), week)


def _reframe(
    scenario: Scenario,
    disputes: Disputes,
    points: dict[str, np.ndarray],
    session: str,
    rng: np.random.Generator,
) -> None:
    """Step 2."""
    if session not in ("mid", "senior"):
        return
    for k, issue in enumerate(scenario.issues):
        if issue.numerical:
            still_open = disputes.going & ~disputes.settled[k] & ~disputes.lapsed
            disputes.reframed[k] |= still_open & _happens(rng, points["reframe_probability"])


def _concede(
    scenario: Scenario,
    disputes: Disputes,
    points: dict[str, np.ndarray],
    sanctions: TariffEffects,
    retaliation: TariffEffects,
    week: int,
    session: str,
    rng: np.random.Generator,
) -> None:
    """Step 3."""
    if session == "none":
        return
    authority = points["technical_authority"] if session == "technical" else np.ones(disputes.state.shape)
    if session == "senior":
        authority = points["senior_authority"]
    authority = np.where(disputes.lapsed, 0.0, authority)
    under_threat = disputes.state == THREAT
    in_force = disputes.state == SANCTIONS
    near = under_threat & (disputes.deadline - week < points["deadline_window"])
    pace = authority * np.where(near, points["deadline_multiplier"], 1.0)

    own_cost = sanctions.buyer_loss + np.where(disputes.retaliation, retaliation.exporter_loss, 0.0)
    share = np.where(in_force, _share_in_force(disputes, points, week), 1.0)
    sender_strain = points["sender_pressure"] * share * np.maximum(own_cost, 0) / points["sender_stake"]
    sender_pace = points["sender_readiness"] * pace * np.exp(np.where(in_force, sender_strain, 0.0))

    taken_for_real = np.where(in_force, 1.0, np.where(under_threat, disputes.credibility, 0.0))
    taken_for_real *= np.where(disputes.case_running, 1 - points["litigation_relief"], 1.0)
    cost = share * sanctions.exporter_loss
    target_strain = points["target_pressure"] * taken_for_real * cost / points["target_stake"]
    refusing = disputes.defiant & (under_threat | in_force)
    target_pace = points["target_readiness"] * pace * np.exp(target_strain)
    target_pace = target_pace * np.where(refusing, points["defiance_multiplier"], 1.0)

    numerical = np.array([[issue.numerical] for issue in scenario.issues])
    aversion = np.where(numerical & ~disputes.reframed, points["quota_aversion"], 1.0)
    sender_hazard = -np.log(1 - _of_issues(scenario, points, "sender_concession")) * sender_pace
    target_hazard = -np.log(1 - _of_issues(scenario, points, "target_concession")) * target_pace * aversion
    gap = _of_issues(scenario, points, "gap")
    open_issues = disputes.going & ~disputes.settled
    sender_moves = open_issues & _happens(rng, 1 - np.exp(-sender_hazard))
    target_moves = open_issues & _happens(rng, 1 - np.exp(-target_hazard))
    before_a, before_b = disputes.sender_position, disputes.target_position
    lower = np.maximum(before_a - points["sender_step"] * gap, before_b)
    higher = np.minimum(before_b + points["target_step"] * gap, before_a)
    disputes.sender_position = np.where(sender_moves, lower, before_a)
    disputes.target_position = np.where(target_moves, higher, before_b)
    closed = disputes.sender_position - disputes.target_position <= 1e-6
    disputes.settled |= open_issues & closed


def _accrue_costs(
    scenario: Scenario,
    disputes: Disputes,
    points: dict[str, np.ndarray],
    sanctions: TariffEffects,
    retaliation: TariffEffects,
    week: int,
) -> None:
    """Step 4."""
    paying = disputes.in_force
    paying_twice = paying & disputes.retaliation
    year = (1 + scenario.discount_rate) ** (-week / 52) / 52
    year = year * np.where(paying, _share_in_force(disputes, points, week), 0.0)
    disputes.sanctions_weeks += paying
    disputes.retaliation_weeks += paying_twice
    disputes.sender_cost += year * (sanctions.buyer_loss * paying + retaliation.exporter_loss * paying_twice)
    disputes.target_cost += year * (sanctions.exporter_loss * paying + retaliation.buyer_loss * paying_twice)


def _agree(scenario: Scenario, disputes: Disputes, points: dict[str, np.ndarray], week: int) -> None:
    """Step 5."""
    enough = _settled_weight(scenario, disputes) >= points["package_threshold"] - 1e-6
    _conclude(disputes, points, disputes.going & enough, week)


def _conclude(disputes: Disputes, points: dict[str, np.ndarray], agreed: np.ndarray, week: int) -> None:
    disputes.stage[agreed & disputes.case_running] = LAPSED
    disputes.agreement_week[agreed] = week
    disputes.share_at_agreement[agreed] = _share_in_force(disputes, points, week)[agreed]


def _tire(disputes: Disputes, points: dict[str, np.ndarray], rng: np.random.Generator) -> None:
    """Step 6."""
    disputes.state[disputes.in_force & _happens(rng, points["sanction_fatigue"])] = WITHDRAWN


def _litigate(disputes: Disputes, points: dict[str, np.ndarray], week: int, rng: np.random.Generator) -> None:
    """Step 7."""
    over = disputes.going & (week >= disputes.stage_end)
    to_panel = over & (disputes.stage == CONSULTATION) & (disputes.state == SANCTIONS)
    report = over & (disputes.stage == PANEL)
    appeal_report = over & (disputes.stage == APPEAL)
    compliance_over = over & (disputes.stage == COMPLIANCE)

    disputes.stage[to_panel] = PANEL
    disputes.stage_end[to_panel] = week + points["panel_weeks"][to_panel]

    disputes.for_target[report] = _happens(rng, points["target_win"])[report]
    appealed = report & _happens(rng, points["appeal_probability"])
    disputes.stage[appealed] = APPEAL
    disputes.stage_end[appealed] = week + points["appeal_weeks"][appealed]
    disputes.stage_end[appealed & _happens(rng, points["void_probability"])] = np.inf
    disputes.for_target ^= appeal_report & _happens(rng, points["reversal_probability"])

    final = (report & ~appealed) | appeal_report
    disputes.ruling_week[final] = week
    lost = final & disputes.for_target
    disputes.stage[lost] = COMPLIANCE
    disputes.stage_end[lost] = week + points["compliance_weeks"][lost]
    disputes.stage[final & ~disputes.for_target] = UPHELD

    complies = compliance_over & _happens(rng, points["compliance_probability"])
    disputes.state[complies] = WITHDRAWN
    disputes.stage[complies] = COMPLIED
    authorised = compliance_over & ~complies
    disputes.stage[authorised] = RETALIATION
    disputes.retaliation |= authorised


def _meet_deadline(
    scenario: Scenario, disputes: Disputes, points: dict[str, np.ndarray], week: int, rng: np.random.Generator
) -> None:
    """Step 8."""
    settled = _settled_weight(scenario, disputes)
    due = disputes.going & (disputes.state == THREAT) & (week >= disputes.deadline)
    signed = due & _happens(rng, points["partial_deal_probability"] * settled)
    disputes.partial_deal[signed] = True
    _conclude(disputes, points, signed, week)
    due &= ~signed
    imposed = due & _happens(rng, points["follow_through"] * (1 - points["restraint"] * settled))
    disputes.state[imposed] = SANCTIONS
    disputes.sanctions_week[imposed] = week
    not_filed = disputes.filing_week == NEVER
    _file(disputes, points, imposed & not_filed & _happens(rng, points["file_on_sanctions"]), week)
    disputes.retaliation |= imposed & _happens(rng, points["unilateral_retaliation"])
    extended = due & ~imposed & _happens(rng, points["extension_probability"])
    disputes.deadline[extended] = week + points["extension_weeks"][extended]
    disputes.credibility[extended] *= points["credibility_decay"][extended]
    disputes.extensions += extended
    disputes.state[due & ~imposed & ~extended] = BACKED_DOWN


def _end_after_retreat(disputes: Disputes, points: dict[str, np.ndarray], week: int, rng: np.random.Generator) -> None:
    """Step 9."""
    retreated = disputes.going & ((disputes.state == BACKED_DOWN) | (disputes.state == WITHDRAWN))
    disputes.stage[retreated & disputes.case_running] = LAPSED
    disputes.retaliation[retreated] = False
    unforced = disputes.going & (disputes.state != THREAT) & (disputes.state != SANCTIONS)
    lapses = unforced & ~disputes.lapsed & _happens(rng, points["lapse_probability"])
    disputes.lapsed |= lapses
    disputes.lapse_week[lapses] = week


def _read(
    scenario: Scenario,
    disputes: Disputes,
    points: dict[str, np.ndarray],
    sanctions: TariffEffects,
    retaliation: TariffEffects,
) -> dict[str, np.ndarray]:
    agreed = ~disputes.going
    state = disputes.state
    outcome = np.select(
        [
            agreed & (state == QUIET),
            agreed & (state == THREAT),
            agreed & (state == SANCTIONS),
            agreed,
            state == SANCTIONS,
            (state == BACKED_DOWN) | (state == WITHDRAWN),
        ],
        [
            OUTCOMES.index(name)
            for name in (
                "agreement_in_talks",
                "agreement_under_threat",
                "agreement_under_sanctions",
                "agreement_after_retreat",
                "sanctions_standing",
                "retreat",
            )
        ],
        OUTCOMES.index("stalemate"),
    )
    weights = np.array([[issue.weight] for issue in scenario.issues])
    level = (disputes.sender_position + disputes.target_position) / 2
    worth = np.where(disputes.reframed, points["voluntary_value"], 1.0)
    access = (weights * np.where(disputes.settled, level * worth, disputes.target_position)).sum(axis=0)

    horizon = scenario.horizon_weeks
    gain = np.zeros(agreed.shape)
    for week in range(1, horizon + 1):
        after = agreed & (disputes.agreement_week < week)
        broken = after & (disputes.breach_week != NEVER) & (disputes.breach_week <= week)
        kept = np.where(broken, points["breach_retention"], 1.0)
        discount = (1 + scenario.discount_rate) ** (-week / 52)
        gain += np.where(after, access * kept * points["full_access"] / 52 * discount, 0.0)
    # Sanctions imposed at the end of the last week count with their first tranche.
    share = np.maximum(_share_in_force(disputes, points, horizon), 1 / points["tranches"])
    standing = share * (sanctions.trade_fall - np.where(disputes.retaliation, retaliation.trade_fall, 0.0))
    balance = np.where(state == SANCTIONS, standing, 0.0)
    kept = np.where(disputes.breach_week != NEVER, points["breach_retention"], 1.0)
    left = np.where(state == SANCTIONS, points["residual_sanctions"] * disputes.share_at_agreement, 0.0)
    with_agreement = access * points["full_access"] * kept + left * sanctions.trade_fall

    finding = np.where(disputes.for_target, RULINGS.index("for_target"), RULINGS.index("for_sender"))
    columns: dict[str, np.ndarray] = {
        "outcome": outcome.astype(np.int8),
        "agreement_week": disputes.agreement_week.astype(np.int16),
        "threat_week": disputes.threat_week.astype(np.int16),
        "sanctions_week": disputes.sanctions_week.astype(np.int16),
        "filing_week": disputes.filing_week.astype(np.int16),
        "ruling_week": disputes.ruling_week.astype(np.int16),
        "sanctions_weeks": disputes.sanctions_weeks.astype(np.int16),
        "retaliation_weeks": disputes.retaliation_weeks.astype(np.int16),
        "extensions": disputes.extensions.astype(np.int16),
        "ruling": np.where(disputes.ruling_week == NEVER, NEVER, finding).astype(np.int8),
        "litigation": disputes.stage.astype(np.int8),
        "lapse_week": np.where(disputes.lapsed, disputes.lapse_week, NEVER).astype(np.int16),
        "breach_week": disputes.breach_week.astype(np.int16),
        "partial_deal": np.where(agreed, disputes.partial_deal, NEVER).astype(np.int8),
        "defiant": np.where(state == QUIET, NEVER, disputes.defiant).astype(np.int8),
        "market_access": np.where(agreed, access, np.nan).astype(np.float32),
        "sender_cost": disputes.sender_cost.astype(np.float32),
        "target_cost": disputes.target_cost.astype(np.float32),
        "export_gain": gain.astype(np.float32),
        "balance_change": np.where(agreed, with_agreement, balance).astype(np.float32),
    }
    for k, issue in enumerate(scenario.issues):
        columns[f"settled.{issue.name}"] = np.where(disputes.settled[k], level[k], np.nan).astype(np.float32)
        if issue.numerical:
            columns[f"reframed.{issue.name}"] = disputes.reframed[k].copy()
    return columns
