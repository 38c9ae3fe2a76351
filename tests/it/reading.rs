//! `docs/reading.md` says of every step what is read, and how.

use rdpwhy::step::LADDER;

use crate::support::root;

#[test]
fn the_table_of_what_is_read_has_every_step_in_order() {
    let text = std::fs::read_to_string(root().join("docs/reading.md")).unwrap();
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let names: Vec<String> = rows.iter().map(|row| row[0].trim_matches('`').to_owned()).collect();
    let steps: Vec<String> = LADDER.iter().map(|rung| rung.name.to_owned()).collect();
    assert_eq!(names, steps, "a step of the ladder has no row, or stands elsewhere");
    for row in rows {
        assert_eq!(row.len(), 5, "{row:?}");
        assert!(row.iter().all(|cell| !cell.is_empty()), "{row:?}: an empty cell says nothing");
    }
}
