"""Scenarios that tests play: small ones with all but one mechanism switched off, and full ones."""

import copy
from collections.abc import Callable
from typing import Any

from api.shipped_scenarios import shipped_scenario
from sim.scenario.scenario import Scenario, scenario_from_document


def issue(
    gap: object = 0.5,
    sender_concession: object = 0.0,
    target_concession: object = 0.0,
    weight: float = 1.0,
    numerical: bool = False,
) -> dict[str, Any]:
    """An issue of a scenario document."""
    return {
        "title": "an issue",
        "weight": weight,
        "numerical": numerical,
        "gap": gap,
        "sender_concession": sender_concession,
        "target_concession": target_concession,
    }


def document(
    issues: dict[str, Any] | None = None, parameters: dict[str, Any] | None = None, **fields: object
) -> dict[str, Any]:
    """A scenario document: one issue on which nobody ever concedes, by default."""
    return {
        "schema": 1,
        "name": "example",
        "title": "An example",
        "sender": "Sender",
        "target": "Target",
        "horizon_weeks": 52,
        "issues": issues or {"access": issue()},
        "parameters": parameters or {},
    } | fields


def scenario(
    issues: dict[str, Any] | None = None, parameters: dict[str, Any] | None = None, **fields: object
) -> Scenario:
    """The scenario of `document`."""
    return scenario_from_document(document(issues, parameters, **fields))


def changed(
    full: dict[str, Any], parameters: dict[str, Any] | None = None, without: tuple[str, ...] = (), **fields: object
) -> dict[str, Any]:
    """A copy of a scenario document with some parameters set, others left out, and fields replaced."""
    result = copy.deepcopy(full) | fields
    kept = {name: value for name, value in result["parameters"].items() if name not in without}
    result["parameters"] = kept | (parameters or {})
    return result


CERTAIN_SANCTIONS = {
    "threat_probability": 1.0,
    "deadline_weeks": 1,
    "follow_through": 1.0,
}
"""Announced in week 1, imposed at the end of week 2, in force from week 3 on."""


def every_mechanism() -> dict[str, Any]:
    """Four issues, 130 weeks, and every mechanism at work; forty uncertain parameters of all kinds of distribution."""
    return document(
        name="every-mechanism",
        horizon_weeks=130,
        discount_rate=0.05,
        deficit=39.4,
        sessions={
            "first": ["mid", "senior", "technical", "mid", "none", "technical"],
            "cycle": ["technical", "mid", "technical", "senior"],
        },
        issues={
            "purchases": issue(
                {"pert": [0.5, 0.8, 1.0]},
                {"pert": [0.01, 0.03, 0.1]},
                {"pert": [0.01, 0.02, 0.08]},
                0.4,
                numerical=True,
            ),
            "dealers": issue(
                {"triangular": [0.4, 0.6, 0.9]}, {"uniform": [0.01, 0.06]}, {"pert": [0.01, 0.04, 0.1]}, 0.3
            ),
            "spare-parts": issue(
                {"beta": {"alpha": 3, "beta": 2, "low": 0.2, "high": 0.9}},
                {"beta": {"alpha": 2, "beta": 40}},
                {"loguniform": [0.01, 0.1]},
                0.2,
            ),
            "regional-plants": issue(0.5, 0.03, {"pert": [0.005, 0.02, 0.1]}, 0.1, numerical=True),
        },
        parameters={
            "sender_step": 0.25,
            "target_step": {"pert": [0.15, 0.3, 0.6]},
            "package_threshold": {"discrete": {"values": [0.7, 0.9, 1.0], "weights": [0.5, 0.3, 0.2]}},
            "senior_authority": {"lognormal": {"median": 1.8, "sigma": 0.3}},
            "technical_authority": 0.4,
            "quota_aversion": {"pert": [0.05, 0.3, 0.9]},
            "reframe_probability": {"beta": {"alpha": 1.5, "beta": 20}},
            "voluntary_value": {"pert": [0.3, 0.6, 0.9]},
            "threat_earliest_week": 4,
            "threat_probability": {"pert": [0.02, 0.1, 0.4]},
            "deadline_weeks": {"triangular": [3, 6, 12]},
            "deadline_window": 2,
            "deadline_multiplier": {"lognormal": {"p05": 1.2, "p95": 5.0}},
            "credibility": {"beta": {"alpha": 4, "beta": 3}},
            "follow_through": {"pert": [0.2, 0.55, 0.8]},
            "extension_probability": {"pert": [0.2, 0.5, 0.8]},
            "extension_weeks": 4,
            "credibility_decay": 0.7,
            "defiance_probability": {"beta": {"alpha": 2, "beta": 3}},
            "defiance_multiplier": {"pert": [0.1, 0.4, 0.9]},
            "sanctioned_trade": {"quantiles": {0: 1, 0.05: 2, 0.5: 5.9, 0.95: 9, 1: 12}},
            "tariff_rate": {"discrete": {"values": [0.25, 1.0], "weights": [0.3, 0.7]}},
            "import_elasticity": {"normal": {"mean": 1.6, "sd": 0.5, "low": 0.3, "high": 4}},
            "supply_elasticity": {"lognormal": {"median": 2.0, "sigma": 0.4}},
            "sanction_fatigue": {"pert": [0.002, 0.01, 0.04]},
            "target_pressure": {
                "mixture": {"of": [{"uniform": [0, 1]}, {"pert": [0.5, 1.5, 4]}], "weights": [0.4, 0.6]}
            },
            "sender_pressure": 0.8,
            "target_stake": 4.0,
            "sender_stake": {"loguniform": [2, 15]},
            "retaliation_share": {"pert": [0.1, 0.4, 0.9]},
            "retaliation_tariff": 0.5,
            "retaliation_import_elasticity": 1.4,
            "retaliation_supply_elasticity": 1.5,
            "unilateral_retaliation": 0.25,
            "file_on_threat": {"pert": [0.3, 0.7, 0.95]},
            "file_on_sanctions": 0.8,
            "consultation_weeks": 9,
            "panel_weeks": {"pert": [20, 35, 60]},
            "appeal_weeks": 12,
            "compliance_weeks": {"uniform": [10, 40]},
            "target_win": {"pert": [0.4, 0.7, 0.9]},
            "appeal_probability": {"pert": [0.3, 0.65, 0.9]},
            "reversal_probability": {"pert": [0.05, 0.2, 0.4]},
            "compliance_probability": {"pert": [0.2, 0.6, 0.9]},
            "litigation_relief": {"pert": [0.05, 0.3, 0.6]},
            "full_access": {"pert": [5, 9, 16]},
        },
        correlations=[
            {"between": ["target_win", "file_on_threat"], "spearman": 0.5},
            {"between": ["follow_through", "credibility"], "spearman": 0.4},
        ],
    )


def litigious() -> dict[str, Any]:
    """Short stages, so that trials reach every leaf of the litigation tree, under way and at the end."""
    full = changed(
        every_mechanism(),
        {
            "threat_earliest_week": {"uniform": [0.6, 4.4]},
            "threat_probability": {"uniform": [0.2, 1.0]},
            "deadline_weeks": {"uniform": [0.6, 5.4]},
            "extension_weeks": {"uniform": [0.6, 3.4]},
            "deadline_window": {"discrete": {"values": [0, 1, 3, 9], "weights": [0.25, 0.25, 0.25, 0.25]}},
            "follow_through": {"uniform": [0.4, 0.9]},
            "sender_step": {"uniform": [0.3, 1.0]},
            "target_step": {"uniform": [0.3, 1.0]},
            "sanction_fatigue": {"uniform": [0.0, 0.08]},
            "unilateral_retaliation": {"uniform": [0.1, 0.9]},
            "consultation_weeks": {"uniform": [0.6, 5.4]},
            "panel_weeks": {"uniform": [0.6, 7.4]},
            "appeal_weeks": {"uniform": [0.6, 5.4]},
            "compliance_weeks": {"uniform": [0.6, 7.4]},
            "reversal_probability": {"uniform": [0.2, 0.6]},
            "import_elasticity": {"uniform": [0.3, 1.3]},
            "supply_elasticity": {"uniform": [2, 9]},
            "litigation_relief": {"uniform": [0.2, 1.0]},
            "target_pressure": {"uniform": [0.5, 5]},
            "sender_pressure": {"uniform": [0.5, 5]},
        },
        name="litigious",
        horizon_weeks=18,
        sessions={"cycle": ["mid", "technical"]},
        correlations=[],
    )
    for given in full["issues"].values():
        given["sender_concession"] = {"uniform": [0.0, 0.2]}
        given["target_concession"] = {"uniform": [0.0, 0.4]}
    return full


DEEPER = {
    "sender_readiness": {"mixture": {"of": [0.1, {"uniform": [0.5, 1.5]}], "weights": [0.2, 0.8]}},
    "target_readiness": {"uniform": [0.2, 2]},
    "lapse_probability": {"uniform": [0, 0.15]},
    "patience": {"uniform": [0, 1]},
    "restraint": {"uniform": [0, 1]},
    "partial_deal_probability": {"uniform": [0, 0.8]},
    "sanctions_at_start": {"uniform": [0, 0.5]},
    "tranches": {"uniform": [0.6, 5.4]},
    "tranche_weeks": {"uniform": [0.6, 6.4]},
    "residual_sanctions": {"uniform": [0, 1]},
    "void_probability": {"uniform": [0, 1]},
    "breach_probability": {"uniform": [0, 0.1]},
    "breach_retention": {"uniform": [0, 1]},
}
"""The mechanisms of the deeper model: a readiness, a table that matters, sanctions in parts and agreements broken."""


def deeper(build: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """An example with the mechanisms of `DEEPER` besides its own."""
    full = build()
    return changed(full, DEEPER, name=f"deeper-{full['name']}")


def reluctant() -> dict[str, Any]:
    """Long threats, many extensions, much reframing and defiance, and demands that take many steps to meet."""
    full = changed(
        every_mechanism(),
        {
            "sender_step": 0.1,
            "target_step": {"uniform": [0.08, 0.2]},
            "package_threshold": 0.6,
            "quota_aversion": {"uniform": [0, 0.3]},
            "reframe_probability": {"uniform": [0, 0.1]},
            "threat_earliest_week": 3,
            "threat_probability": 0.15,
            "deadline_window": 3,
            "deadline_multiplier": {"uniform": [1, 8]},
            "follow_through": {"uniform": [0.02, 0.2]},
            "extension_probability": {"uniform": [0.6, 1.0]},
            "extension_weeks": {"uniform": [1, 5]},
            "credibility_decay": {"uniform": [0.5, 1.0]},
            "defiance_probability": 0.5,
            "defiance_multiplier": {"uniform": [0, 2]},
            "target_pressure": {"uniform": [1, 6]},
            "import_elasticity": 1.0,
        },
        name="reluctant",
        horizon_weeks=70,
        discount_rate=0.0,
        sessions={"first": ["none", "senior"], "cycle": ["mid", "senior", "technical", "none", "mid"]},
        correlations=[],
    )
    for given in full["issues"].values():
        given["sender_concession"] = {"uniform": [0.0, 0.3]}
        given["target_concession"] = {"uniform": [0.05, 0.4]}
    return full


HISTORY = {
    "outcome": "agreement_under_sanctions",
    "threat_week": 2,
    "sanctions_week": 5,
    "filing_week": 5,
    "ruling_week": 12,
    "ruling": "for_target",
    "agreement_week": 15,
    "sanctions_weeks": 10,
    "retaliation": True,
    "events": {"1995-05-16": "A list."},
    "sources": ["A newspaper."],
}
"""A history for `litigious`: what happened in a dispute, with every field that a history can have but its strategy."""


def full_scenarios() -> dict[str, Scenario]:
    """Scenarios with every mechanism at work, and the shipped one of 1995, by short names."""
    return {
        "litigious": scenario_from_document(litigious()),
        "reluctant": scenario_from_document(reluctant()),
        "every-mechanism": scenario_from_document(every_mechanism()),
        "deeper-litigious": scenario_from_document(deeper(litigious)),
        "deeper-reluctant": scenario_from_document(deeper(reluctant)),
        "1995": shipped_scenario("us-japan-autos-1995"),
    }
