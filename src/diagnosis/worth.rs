//! What each kind of evidence is worth: every confidence is made of these numbers, and no rule has any of its own.
//!
//! A rule says what kind its first proof is ([`Evidence`]), what else speaks for it ([`Support`]) and what against it
//! ([`Doubt`]). Absence counts only where the witness covers the time: that is a kind of its own, and the readers make a
//! fact of silence only inside of what they cover. `docs/calibration.md` holds the numbers against real evidence.

/// A kind of evidence, the most telling first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Evidence {
    /// Who refused says so himself, with a code or an event of his own log that stands for this cause alone.
    Code,
    /// Such a code as another one was told it, or one whose meaning leaves little room beside the cause.
    Told,
    /// Two witnesses of the same connection contradict each other in a way that only this cause explains.
    BothEnds,
    /// What went over the wire has a mark that only this cause leaves.
    Mark,
    /// Nothing came, although the witness looked on for long enough and it was asked for again.
    Silence,
    /// A code or event that a few causes share, of which this is by far the most frequent.
    SharedCode,
    /// A record of a host, or what an end asks others, that is put to the connection by its time and fits the way in which it
    /// failed.
    ByTime,
    /// What went over the wire fits a few causes, of which this is the most frequent: sizes of encrypted messages, who ended
    /// it and when.
    Shape,
    /// As likely as all others together.
    Even,
    /// One of several that the evidence does not tell apart.
    OneOfSeveral,
    /// Not excluded, and nothing shows it.
    Possible,
    /// A remark beside another cause.
    Remark,
}

impl Evidence {
    /// Every kind, the most telling first.
    pub const ALL: [Self; 12] = [
        Self::Code,
        Self::Told,
        Self::BothEnds,
        Self::Mark,
        Self::Silence,
        Self::SharedCode,
        Self::ByTime,
        Self::Shape,
        Self::Even,
        Self::OneOfSeveral,
        Self::Possible,
        Self::Remark,
    ];

    /// How sure such a proof alone makes, in hundredths.
    #[must_use]
    pub const fn percent(self) -> u8 {
        match self {
            Self::Code => 95,
            Self::Told => 90,
            Self::BothEnds => 88,
            Self::Mark => 85,
            Self::Silence | Self::SharedCode => 80,
            Self::ByTime => 70,
            Self::Shape => 62,
            Self::Even => 50,
            Self::OneOfSeveral => 40,
            Self::Possible => 25,
            Self::Remark => 10,
        }
    }

    /// A code or an event names the cause, so that it needs not have been seen before.
    #[must_use]
    pub const fn names_the_cause(self) -> bool {
        matches!(self, Self::Code | Self::Told | Self::SharedCode)
    }

    /// What it is, in one sentence.
    #[must_use]
    pub const fn says(self) -> &'static str {
        match self {
            Self::Code => {
                "who refused says so himself: a code, or an event of his own log, that stands for this cause alone"
            }
            Self::Told => {
                "such a code as another one was told it, or one whose meaning leaves little room beside the cause"
            }
            Self::BothEnds => {
                "two witnesses of the same connection contradict each other in a way that only this cause explains"
            }
            Self::Mark => "what went over the wire has a mark that only this cause leaves",
            Self::Silence => {
                "nothing came, although the witness looked on for long enough and it was asked for again"
            }
            Self::SharedCode => {
                "a code or event that a few causes share, of which this is by far the most frequent"
            }
            Self::ByTime => {
                "a record of a host, or what an end asks others, that is put to the connection by its time and fits the way in which it failed"
            }
            Self::Shape => {
                "what went over the wire fits a few causes, of which this is the most frequent: sizes of encrypted messages, who ended it and when"
            }
            Self::Even => "as likely as all others together",
            Self::OneOfSeveral => "one of several that the evidence does not tell apart",
            Self::Possible => "not excluded, and nothing shows it",
            Self::Remark => "a remark beside another cause",
        }
    }
}

/// What a second piece of evidence adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Support {
    /// It fits, and would often be there without the cause.
    Slight,
    /// It fits, and is seldom there without the cause.
    Clear,
    /// It is there because of this cause or of very few others.
    Strong,
    /// With it the first proof means this cause and hardly another.
    Decisive,
}

impl Support {
    /// Hundredths that it adds.
    #[must_use]
    pub const fn percent(self) -> u8 {
        match self {
            Self::Slight => 4,
            Self::Clear => 9,
            Self::Strong => 15,
            Self::Decisive => 30,
        }
    }
}

/// What a contradiction takes off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Doubt {
    /// Another explanation is there as well.
    Slight,
    /// Another rule says the same more exactly.
    LessExact,
    /// Another explanation is as good.
    Clear,
    /// Another explanation is better.
    Strong,
    /// It cannot be so, unless something was read or joined wrongly.
    Excludes,
}

impl Doubt {
    /// Hundredths that it takes off.
    #[must_use]
    pub const fn percent(self) -> u8 {
        match self {
            Self::Slight => 8,
            Self::LessExact => 15,
            Self::Clear => 25,
            Self::Strong => 50,
            Self::Excludes => 70,
        }
    }
}

/// How sure a cause can be made that was never seen in real evidence and that no code names.
pub const NEVER_SEEN_MAX: u8 = 60;

/// How sure a cause can be made at all.
pub const MOST: u8 = 99;
