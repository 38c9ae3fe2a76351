//! What is said first of a failure: what happened, and why, no surer than the evidence.

use super::Told;
use super::kinds::NO_CAUSE;
use crate::diagnosis::Verdict;
use crate::session::Outcome;
use crate::step::Step;

/// From here on a cause is said as a fact.
const STATED_PERCENT: u8 = 75;
/// From here on a cause is the most likely one, below one of several.
const LIKELY_PERCENT: u8 = 50;

/// What became of a connection that failed: it broke, it was refused, or a session that had reached the desktop was ended.
/// `step` is where, and `best` its best cause.
#[must_use]
pub fn happened(outcome: Outcome, step: Option<Step>, best: Option<&Verdict>) -> &'static str {
    let of_gateway = best.and_then(|best| best.rule.step).is_some_and(|step| {
        matches!(step, Step::GatewayTransport | Step::GatewayTunnel | Step::GatewayChannel)
    });
    match (outcome, step) {
        (Outcome::Refused, Some(Step::Active)) if of_gateway => "Ended by the gateway",
        (Outcome::Refused, Some(Step::Active)) => "Ended by the server",
        (Outcome::Refused, _) => "Refused",
        _ => "Broke",
    }
}

/// What became of it, and at which step.
#[must_use]
pub fn happened_at(outcome: Outcome, step: Option<Step>, best: Option<&Verdict>) -> String {
    format!("{} at {}", happened(outcome, step, best), step.map_or("an unknown step", Step::title))
}

/// Why, as surely as the evidence tells.
#[must_use]
pub fn why(verdict: &Verdict) -> String {
    match verdict.weighing.wording {
        Some(wording) => wording.says.to_owned(),
        None => hedged(verdict.rule.cause, verdict.weighing.percent),
    }
}

/// The same of an attempt, and of one without a cause.
#[must_use]
pub fn why_of(told: &Told<'_>) -> String {
    told.best().map_or_else(|| NO_CAUSE.to_owned(), why)
}

/// What to do, with what comes before it.
#[must_use]
pub fn to_do(verdict: &Verdict) -> String {
    match verdict.weighing.wording {
        Some(wording) => format!("{}. {}: {}", wording.first, wording.then, verdict.rule.fix),
        None => verdict.rule.fix.to_owned(),
    }
}

/// A cause in words that are no surer than it is.
#[must_use]
pub fn hedged(cause: &str, percent: u8) -> String {
    match percent {
        STATED_PERCENT.. => cause.to_owned(),
        LIKELY_PERCENT.. => format!("most likely: {cause}"),
        _ => format!("not certain, may be: {cause}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_as_surely_as_it_is_known() {
        assert_eq!(hedged("it rains", 95), "it rains");
        assert_eq!(hedged("it rains", 62), "most likely: it rains");
        assert_eq!(hedged("it rains", 40), "not certain, may be: it rains");
    }

    #[test]
    fn a_session_that_reached_the_desktop_was_ended_and_not_refused() {
        assert_eq!(happened(Outcome::Refused, Some(Step::Active), None), "Ended by the server");
        assert_eq!(happened(Outcome::Refused, Some(Step::Credssp), None), "Refused");
        assert_eq!(happened(Outcome::Broke, Some(Step::Active), None), "Broke");
    }
}
