//! Same input, same bytes out: for any number of threads, any order of the arguments, and one file or many.

use crate::support::{children, root, run};

fn answers(arguments: &[&str]) -> String {
    let output = run(&root().join("samples"), arguments);
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn threads_and_order_do_not_change_the_answer() {
    let mut names: Vec<String> = children(&root().join("samples"))
        .into_iter()
        .filter(|path| path.is_dir())
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    let with = |threads: &str, names: &[String]| {
        let mut arguments = vec!["--format", "json", "-q", "--threads", threads];
        arguments.extend(names.iter().map(String::as_str));
        answers(&arguments)
    };
    let first = with("1", &names);
    assert!(first.contains("\"attempts\""));
    for threads in ["1", "2", "7"] {
        assert_eq!(with(threads, &names), first, "{threads} threads");
    }
    names.reverse();
    assert_eq!(with("2", &names), first, "reversed");
    let twice: Vec<String> = names.iter().chain(&names).cloned().collect();
    assert_eq!(with("2", &twice), first, "every folder given twice");
}

#[test]
fn the_text_answer_is_the_same_for_any_number_of_threads() {
    let one = answers(&["-q", "-v", "--threads", "1", "."]);
    assert_eq!(answers(&["-q", "-v", "--threads", "4", "."]), one);
}
