//! The page in a real browser: headless Chromium, driven by the DevTools protocol over its pipe.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::{made, page_of};
use crate::support::{root, run, scratch};

/// Loading a page of 10,000 attempts, and filtering it, must take less; a machine that does other things is slow.
const LOAD_MAX: Duration = Duration::from_secs(15);
const FILTER_MAX: Duration = Duration::from_secs(3);

/// A browser with one page open.
struct Browser {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    number: u64,
    session: Option<String>,
    events: VecDeque<Value>,
}

/// The browser by `RDPWHY_CHROMIUM` or the search path. Says aloud when there is none; under `RDPWHY_REQUIRE_TOOLS` that
/// is a failure.
fn chromium() -> Option<PathBuf> {
    let given = std::env::var_os("RDPWHY_CHROMIUM").map(PathBuf::from);
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = given.or_else(|| {
        let named = |folder: PathBuf| ["chromium", "chromium-browser"].map(|name| folder.join(name));
        std::env::split_paths(&folders).flat_map(named).find(|path| path.is_file())
    });
    if cfg!(unix) && found.is_some() {
        return found;
    }
    assert!(std::env::var_os("RDPWHY_REQUIRE_TOOLS").is_none(), "chromium is not there and is required");
    aloud!("SKIPPED: no chromium (set RDPWHY_CHROMIUM)");
    None
}

impl Browser {
    /// A browser that has this page open, as wide as given.
    fn open(name: &str, page: &Path, (width, height): (u32, u32)) -> Option<Self> {
        let program = chromium()?;
        let profile = scratch(&format!("{name}-profile"));
        // The protocol speaks over the descriptors 3 and 4; a shell puts its own standard input and output there.
        let mut child = Command::new("sh")
            .arg("-c")
            .arg("exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1")
            .arg(program)
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--remote-debugging-pipe",
            ])
            .args(["--disable-background-networking", "--disable-dev-shm-usage"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, from) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut browser = Self { child, to, from, number: 0, session: None, events: VecDeque::new() };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let attached =
            browser.call("Target.attachToTarget", json!({"targetId": target["targetId"], "flatten": true}));
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser.size(width, height);
        browser.call("Page.navigate", json!({"url": format!("file://{}", page.display())}));
        browser.wait_for("Page.loadEventFired");
        Some(browser)
    }

    fn read(&mut self) -> Value {
        let mut message = Vec::new();
        self.from.read_until(0, &mut message).unwrap();
        assert_eq!(message.pop(), Some(0), "the browser went away");
        serde_json::from_slice(&message).unwrap()
    }

    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.number += 1;
        let mut message = json!({"id": self.number, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        self.to.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let mut answer = self.read();
            if answer["id"] == self.number {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].take();
            }
            self.events.push_back(answer);
        }
    }

    fn wait_for(&mut self, event: &str) {
        while !self.events.iter().any(|known| known["method"] == event) {
            let next = self.read();
            self.events.push_back(next);
        }
    }

    /// The value of an expression in the page.
    fn value(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let mut answer = self.call("Runtime.evaluate", asked);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].take()
    }

    fn count(&mut self, selector: &str) -> u64 {
        self.value(&format!("document.querySelectorAll({}).length", json!(selector))).as_u64().unwrap()
    }

    /// Presses a key that has a name.
    fn press(&mut self, key: &str) {
        let text = if key == "Enter" { "\r" } else { key };
        let code = match key {
            "Enter" => 13,
            "Tab" => 9,
            "ArrowRight" => 39,
            _ => 0,
        };
        let text = if key.len() > 1 && key != "Enter" { Value::Null } else { text.into() };
        let mut down = json!({"type": "keyDown", "key": key, "windowsVirtualKeyCode": code});
        if !text.is_null() {
            down["text"] = text;
        }
        self.call("Input.dispatchKeyEvent", down);
        self.call(
            "Input.dispatchKeyEvent",
            json!({"type": "keyUp", "key": key, "windowsVirtualKeyCode": code}),
        );
    }

    /// Types text into what has the focus, and waits until the page has drawn.
    fn type_text(&mut self, text: &str) {
        self.call("Input.insertText", json!({"text": text}));
        self.value("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))");
    }

    fn size(&mut self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", size);
    }

    fn look(&mut self, scheme: &str) {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", features);
    }

    fn picture(&mut self, name: &str) -> PathBuf {
        let answer = self.call("Page.captureScreenshot", json!({"format": "png"}));
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&path, BASE64.decode(answer["data"].as_str().unwrap().as_bytes()).unwrap()).unwrap();
        path
    }

    /// What went wrong: errors, console lines, dialogs, and requests beyond the page itself.
    fn complaints(&mut self) -> Vec<String> {
        self.value("0");
        let mut said = Vec::new();
        let mut requests = 0;
        for event in &self.events {
            match event["method"].as_str().unwrap_or_default() {
                "Runtime.exceptionThrown"
                | "Runtime.consoleAPICalled"
                | "Log.entryAdded"
                | "Page.javascriptDialogOpening" => said.push(event.to_string()),
                "Network.requestWillBeSent" => {
                    requests += 1;
                    let url = event["params"]["request"]["url"].as_str().unwrap_or_default();
                    if requests > 1 || !url.starts_with("file://") {
                        said.push(format!("request: {url}"));
                    }
                }
                _ => {}
            }
        }
        said
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The page of the samples in a file.
fn samples(name: &str) -> PathBuf {
    let path = scratch(name).join("page.html");
    let output = run(&root(), &["-q", "samples/", "-o", path.to_str().unwrap()]);
    assert!(output.status.success());
    path
}

const VISIBLE_ROWS: &str = "#table tbody tr.row";

#[test]
fn the_page_opens_filters_and_folds_by_keyboard_without_a_complaint() {
    let Some(mut browser) = Browser::open("html-keys", &samples("html-keys"), (1280, 800)) else { return };
    assert_eq!(browser.count(VISIBLE_ROWS), 5);
    browser.press("/");
    assert_eq!(browser.value("document.activeElement.id"), "text");
    browser.type_text("bad-password labuser");
    assert_eq!(browser.count(VISIBLE_ROWS), 1);
    assert_eq!(browser.value("document.getElementById('shown').textContent"), "1 of 5 attempts");
    // From the filter on: outcome, cause, clear, seven heads of columns, then the first row.
    let mut steps = 0;
    while browser.value("document.activeElement.className") != "toggle" {
        browser.press("Tab");
        steps += 1;
        assert!(steps < 20, "the row is not reached by Tab");
    }
    browser.press("Enter");
    assert_eq!(browser.value("document.activeElement.getAttribute('aria-expanded')"), "true");
    assert_eq!(browser.count("tr.more .sequence svg[role=img] .break"), 1);
    assert!(browser.count("tr.more .sequence .dot.log") > 5);
    assert_eq!(browser.count("tr.more .certificate"), 1);
    let remedy = browser.value("document.querySelector('tr.more .remedy').textContent");
    assert!(remedy.as_str().unwrap().starts_with("type it again with the domain"), "{remedy}");
    // Evidence folds out to its raw fields.
    let fact = "document.querySelector('tr.more .short .fact')";
    assert_eq!(browser.count("tr.more .short .fact dl"), 0);
    browser.value(&format!("{fact}.querySelector('summary').focus()"));
    browser.press("Enter");
    browser.value("new Promise((done) => setTimeout(done, 100))");
    let fields = browser.value(&format!("{fact}.querySelector('dl').textContent"));
    for part in ["status0xc000006a", "record 12148", "EventRecordID=12148", "computerrdsh01.lab.test"] {
        assert!(fields.as_str().unwrap().contains(part), "{part} is not in {fields}");
    }
    // The timeline zooms and moves by keys.
    browser.value("document.querySelector('.timeline .scroll').focus()");
    let shown = "document.querySelector('.timeline figcaption').textContent";
    let (whole, mut ranges) = (browser.value(shown), vec![]);
    for key in ["+", "ArrowRight", "0"] {
        browser.press(key);
        ranges.push(browser.value(shown));
    }
    assert!(ranges[0] != whole && ranges[1] != ranges[0] && ranges[2] == whole, "{whole} {ranges:?}");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn witnesses_that_are_not_drawn_are_counted_by_what_they_tell() {
    let folder = scratch("html-witnesses");
    let read = |name: &str| std::fs::read(root().join("samples").join(name)).unwrap();
    for copy in 0..16 {
        std::fs::write(folder.join(format!("tap{copy}.pcap")), read("nla-required/server.pcap")).unwrap();
    }
    std::fs::write(folder.join("other.pcap"), read("cert-expired/server.pcap")).unwrap();
    let output = run(&folder, &["-q", ".", "-o", "page.html", "--at", "2026-11-22T06:37Z"]);
    assert!(output.status.success());
    let Some(mut browser) = Browser::open("html-witnesses", &folder.join("page.html"), (1280, 800)) else {
        return;
    };
    browser.value("document.querySelector('.toggle').click()");
    let told = browser.value("document.querySelector('tr.more .timeline').textContent");
    let told = told.as_str().unwrap();
    assert!(told.contains("2 more witnesses tell of it too"), "{told}");
    assert!(told.contains("1 more witness tells nothing of it"), "{told}");
}

#[test]
fn hostile_names_stay_text_in_the_browser() {
    let page = page_of("html-hostile-browser", &made::hostile());
    let Some(mut browser) = Browser::open("html-hostile", &page, (1280, 800)) else { return };
    browser.value("document.querySelectorAll('.toggle').forEach((toggle) => toggle.click())");
    // The list of all facts is there when it is opened, and the fields of a fact when that one is.
    for _ in 0..2 {
        browser.value("document.querySelectorAll('details').forEach((box) => { box.open = true; })");
        browser.value("new Promise((done) => setTimeout(done, 300))");
    }
    assert!(browser.count("tr.more .fact dl") > 20);
    assert_eq!(browser.count("img, iframe, x-hostile, table script, [onload], [onerror], [style]"), 0);
    assert_eq!(browser.count("script"), 3);
    let text = browser.value("document.body.innerText");
    for name in made::HOSTILE.iter().filter(|name| !name.contains('\u{202e}')) {
        assert!(text.as_str().unwrap().contains(name), "{name} is not shown as it is");
    }
    assert!(text.as_str().unwrap().contains("a\\u{202e}gpj.exe\\u{0}\\u{2028}\\u{feff}"));
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn ten_thousand_attempts_stay_usable() {
    let page = page_of("html-many", &made::batch(10_000, 16));
    let size = std::fs::metadata(&page).unwrap().len();
    let begun = Instant::now();
    let Some(mut browser) = Browser::open("html-many", &page, (1280, 800)) else { return };
    let opened = begun.elapsed();
    let load = browser.value("performance.timing.loadEventEnd - performance.timing.navigationStart");
    assert_eq!(browser.count(VISIBLE_ROWS), 200);
    assert_eq!(browser.value("document.getElementById('shown').textContent"), "10000 attempts");
    browser.value("document.getElementById('text').focus()");
    let begun = Instant::now();
    browser.type_text("user4242");
    let filtered = begun.elapsed();
    assert_eq!(browser.count(VISIBLE_ROWS), 1);
    let begun = Instant::now();
    browser.value("document.querySelector('.toggle').click()");
    let unfolded = begun.elapsed();
    assert_eq!(browser.count("tr.more .sequence svg"), 1);
    eprintln!(
        "10,000 attempts: {size} bytes, browser and page {opened:?}, page {load} ms, filter {filtered:?}, unfold {unfolded:?}"
    );
    assert!(load.as_u64().unwrap() < u64::try_from(LOAD_MAX.as_millis()).unwrap(), "{load} ms");
    assert!(filtered < FILTER_MAX && unfolded < FILTER_MAX, "{filtered:?} {unfolded:?}");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn the_page_is_readable_wide_and_narrow_dark_and_on_paper() {
    let Some(mut browser) = Browser::open("html-look", &samples("html-look"), (1280, 800)) else { return };
    let unfold = "document.querySelectorAll('.toggle')[3].click()";
    for (scheme, ink) in [("light", "rgb(26, 31, 36)"), ("dark", "rgb(228, 231, 234)")] {
        browser.look(scheme);
        assert_eq!(browser.value("getComputedStyle(document.body).color"), ink);
        for (width, height) in [(1280, 800), (390, 800)] {
            browser.size(width, height);
            browser.value("scrollTo(0, 0)");
            browser.picture(&format!("html-{scheme}-{width}.png"));
            browser.value(unfold);
            browser.value("document.querySelector('tr.more .session').scrollIntoView()");
            browser.picture(&format!("html-{scheme}-{width}-session.png"));
            let sideways = browser.value("document.documentElement.scrollWidth - innerWidth");
            assert!(sideways.as_i64().unwrap() <= 0, "{width} px: {sideways} px too wide");
            browser.value(unfold);
        }
    }
    browser.size(1280, 800);
    let printed = browser.call("Page.printToPDF", json!({"printBackground": true}));
    let printed = BASE64.decode(printed["data"].as_str().unwrap().as_bytes()).unwrap();
    std::fs::write(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("html-print.pdf"), &printed).unwrap();
    assert!(printed.starts_with(b"%PDF") && printed.len() > 50_000, "{} bytes", printed.len());
    // What printing unfolded is folded again.
    assert_eq!(browser.count("tr.more"), 0);
    // On paper every failure is unfolded, and nothing that only a screen can use is left.
    browser.value("dispatchEvent(new Event('beforeprint'))");
    browser.call("Emulation.setEmulatedMedia", json!({"media": "print"}));
    assert_eq!(browser.count("tr.more .remedy"), 5);
    let buttons = "[...document.querySelectorAll('.tools, .copy button, #filter')].filter((one) => one.offsetParent).length";
    assert_eq!(browser.value(buttons), 0);
    assert_eq!(browser.complaints(), Vec::<String>::new());
}
