"use strict";
(() => {
  // Evidence is hostile: it becomes text nodes and attributes of fixed names, never markup.
  const SVG = "http://www.w3.org/2000/svg";
  const CHUNK = 200;
  const PRINTED = 20;
  const DRAWN = 64;
  const LANES = 14;
  const byId = (id) => document.getElementById(id);
  const fill = (node, attributes, children) => {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name === "on") for (const [event, act] of Object.entries(value)) node.addEventListener(event, act);
      else if (name === "text") node.textContent = value;
      else node.setAttribute(name, value === true ? "" : String(value));
    }
    for (const child of children.flat(9)) if (child !== null && child !== undefined && child !== "") node.append(child);
    return node;
  };
  const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
  const s = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

  const table = JSON.parse(byId("table-data").textContent);
  const rows = table.rows;
  const count = rows.start.length;
  let detailLines = null;
  let texts = [];
  let certificates = [];
  const detail = (line) => {
    if (!detailLines) {
      detailLines = byId("detail-data").textContent.split("\n");
      texts = JSON.parse(detailLines[0]);
      certificates = JSON.parse(detailLines[1]);
    }
    return JSON.parse(detailLines[line + 2]);
  };

  // Times are microseconds, on the reference clock and in UTC.
  const pad = (number, width) => String(number).padStart(width, "0");
  const stamp = (us) => {
    const ms = Math.floor(us / 1000);
    const date = new Date(ms);
    if (Number.isNaN(date.getTime())) return us + " µs";
    return date.toISOString().slice(0, -1) + pad(us - ms * 1000, 3) + "Z";
  };
  const spoken = (us) => {
    const sign = us < 0 ? "-" : "";
    const n = Math.abs(us);
    const seconds = Math.floor(n / 1e6);
    if (n < 1e3) return sign + Math.floor(n) + " µs";
    if (n < 1e6) return sign + (Math.floor(n / 100) / 10).toFixed(1) + " ms";
    if (n < 6e7) return sign + (Math.floor(n / 1e4) / 100).toFixed(2) + " s";
    if (seconds < 3600) return sign + Math.floor(seconds / 60) + " min " + (seconds % 60) + " s";
    return sign + Math.floor(seconds / 3600) + " h " + (Math.floor(seconds / 60) % 60) + " min";
  };
  const since = (us) => (us < 0 ? "" : "+") + spoken(us);
  const short = (path) => path.slice(path.lastIndexOf("/") + 1);
  const CLOSED = new Set(["JA3", "JA4", "JA3S", "Community ID", "correlation id", "routing token"]);
  const cut = (text, most) => (text.length > most ? text.slice(0, Math.max(1, most - 1)) + "…" : text);
  const stepTitle = (number) => (number === null ? "an unknown step" : table.steps[number][1]);
  const failed = (outcome) => outcome === "broke" || outcome === "refused";

  // Text in which `commands` stand between back quotes.
  const prose = (text) => text.split("`").map((part, index) => (index % 2 ? h("code", { text: part }) : part));

  const copied = async (text, shown, button) => {
    let done = false;
    try {
      await navigator.clipboard.writeText(text);
      done = true;
    } catch {
      const range = document.createRange();
      range.selectNodeContents(shown);
      const selection = getSelection();
      selection.removeAllRanges();
      selection.addRange(range);
      try { done = document.execCommand("copy"); } catch { done = false; }
    }
    const before = button.textContent;
    button.textContent = done ? "Copied" : "Selected: press Ctrl+C";
    setTimeout(() => { button.textContent = before; }, 2500);
  };
  // A name in brackets behind an address goes into a line of its own.
  const named = (text) => {
    const at = text.indexOf(" (");
    const first = at < 0 ? text : text.slice(0, at);
    return [h("span", { class: first.length < 24 ? "whole" : null, text: first }), at < 0 ? null : h("span", { class: "sub", text: text.slice(at + 2, -1) })];
  };
  const copyable = (shown, text, what) => {
    const button = h("button", { type: "button", text: "Copy", "aria-label": "Copy " + what, on: { click: () => copied(text, shown, button) } });
    return h("div", { class: "copy" }, shown, button);
  };
  const meter = (percent) => s("svg", { class: "meter", viewBox: "0 0 100 8", preserveAspectRatio: "none", role: "img", "aria-label": percent + " % sure" },
    s("rect", { class: "track", width: 100, height: 8, rx: 2 }), s("rect", { class: "level", width: percent, height: 8, rx: 2 }));

  // ---- one connection ----

  const factOf = (d, i) => {
    const f = d.facts;
    const input = table.inputs[f.input[i]] || { path: "", capture: false };
    const number = f.number[i];
    const place = number === null ? "" : (input.capture ? "frame " : "record ") + number;
    return { i, at: f.at[i], off: f.off[i], says: texts[f.says[i]], name: texts[f.name[i]], step: f.step[i], path: input.path, capture: input.capture,
      number, place, reading: f.reading[i], witness: f.witness[i], way: f.way[i], from: f.from[i], to: f.to[i], fields: f.fields[i] };
  };
  const READ = ["", "decrypted", "told by size and position"];
  const lookUp = (one) => {
    if (one.number === null) return null;
    if (one.capture) return "frame.number == " + one.number;
    return 'wevtutil qe "' + one.path + '" /lf:true /f:text /q:"*[System[EventRecordID=' + one.number + ']]"';
  };
  const clockOf = (witness) => (!witness ? "" : witness.clock === "the reference" ? "the reference clock" : "clock " + witness.clock);
  const rawFields = (d, one) => {
    const witness = table.witnesses[one.witness];
    const list = h("dl", { class: "facts" });
    const add = (label, value, isCode) => { if (value !== null && value !== "") list.append(h("dt", { text: label }), h("dd", { class: isCode ? "code" : null }, value)); };
    add("fact", one.name, true);
    if (one.step !== null) add("step", stepTitle(one.step));
    add("time", stamp(d.start + one.at), true);
    if (one.off) add("by its own clock", stamp(d.start + one.at + one.off), true);
    add("witness", (witness ? witness.name + ", " : "") + clockOf(witness));
    add("input", one.path + (one.place ? ", " + one.place : ""), true);
    if (one.reading) add("read", READ[one.reading]);
    for (let i = 0; i + 1 < one.fields.length; i += 2) add(texts[one.fields[i]], texts[one.fields[i + 1]], true);
    const look = lookUp(one);
    if (look) {
      const shown = h("code", { text: look });
      add("look it up", copyable(shown, look, one.capture ? "the display filter" : "the command"));
    }
    return list;
  };
  const foldedFact = (d, i, proofs) => {
    const one = factOf(d, i);
    const place = [short(one.path), one.place, READ[one.reading]].filter(Boolean).join(", ");
    const witness = table.witnesses[one.witness];
    const box = h("details", { class: "fact" + (one.way === 3 ? " log" : "") + (proofs && proofs.has(i) ? " proof" : ""), "data-fact": i },
      h("summary", {},
        h("span", { class: "time", text: since(one.at) }),
        h("span", { class: "witness", title: witness ? witness.name : null }, h("bdi", { text: witness ? witness.name : "" })),
        h("span", { class: "says", text: one.says }),
        h("span", { class: "place", text: place })));
    box.addEventListener("toggle", () => { if (box.open && box.childElementCount === 1) box.append(rawFields(d, one)); });
    return box;
  };

  const verdictCard = (d) => {
    const card = h("div", {});
    const best = d.causes[0];
    if (d.said) card.append(h("p", { text: "The error box does not tell of this connection: " + d.said }));
    if (best) {
      const rule = table.causes[best.rule];
      card.append(h("div", { class: "sure" }, meter(best.percent), h("span", {}, h("b", { text: best.percent + " % sure" }), " ", h("code", { text: rule.id }))));
      const rivals = d.causes.slice(1, 1 + d.rivals).map((one) => "or " + one.percent + " % (" + table.causes[one.rule].id + ")");
      if (rivals.length) card.append(h("p", { class: "rivals", text: rivals.join(", ") }));
      const remedy = h("p", { class: "remedy" }, prose(d.to_do));
      card.append(h("h3", { text: "To do" }), copyable(remedy, d.to_do, "what to do"));
      const list = (title, facts) => {
        if (facts.length) card.append(h("h3", { text: title }), h("div", { class: "short" }, facts.map((i) => foldedFact(d, i, null))));
      };
      list("Evidence", best.for);
      list("Against it", best.against);
    }
    const missing = best ? best.missing : d.absent;
    if (missing.length) card.append(h("h3", { text: "Not seen, and would tell more" }), h("ul", { class: "bullets" }, missing.map((text) => h("li", {}, prose(text)))));
    if (d.differs.length) card.append(h("h3", { text: "Not as in the last success" }), h("ul", { class: "bullets" }, d.differs.map((text) => h("li", { text }))));
    const look = (title, text) => {
      if (text) card.append(h("h3", { text: title }), copyable(h("pre", { text }), text, title));
    };
    look("Wireshark display filter", d.filter);
    look("The packets of this connection alone, with the break marked", d.slice);
    for (const query of d.queries) look("Records of the proof", query);
    if (best && table.causes[best.rule].refs.length) card.append(h("p", { class: "refs", text: "Known from " + table.causes[best.rule].refs.join("; ") }));
    return card;
  };

  const certificateCard = (d) => {
    const c = certificates[d.certificate];
    const at = d.start / 1000;
    const from = Date.parse(c.not_before), to = Date.parse(c.not_after);
    const list = h("dl", { class: "facts" });
    const add = (label, value, isCode) => { if (value) list.append(h("dt", { text: label }), h("dd", { class: isCode ? "code" : null, text: value })); };
    let warning = null;
    if (at < from) warning = "not yet valid at the time of this connection";
    if (at > to) warning = "expired " + spoken((at - to) * 1000) + " before this connection";
    const span = Math.max(1, to - from);
    const lowest = Math.min(from, at) - span * 0.04, highest = Math.max(to, at) + span * 0.04;
    const x = (ms) => ((ms - lowest) / (highest - lowest)) * 400;
    const drawing = Number.isFinite(span) ? s("svg", { class: "validity", viewBox: "0 0 400 26", preserveAspectRatio: "xMinYMid", role: "img", "aria-label": "valid from " + c.not_before + " to " + c.not_after },
      s("rect", { class: "track", y: 8, width: 400, height: 1 }),
      s("rect", { class: "cover", x: x(from), y: 4, width: Math.max(1, x(to) - x(from)), height: 9 }),
      s("rect", { class: "mark", x: x(at) - 1, y: 0, width: 2, height: 16 }),
      s("text", { x: Math.min(330, Math.max(0, x(at) - 30)), y: 25, text: "connection" })) : null;
    add("subject", c.subject, true);
    add("issuer", c.issuer + (c.self_signed ? " (self-signed)" : ""), true);
    add("valid from", c.not_before, true);
    add("valid until", c.not_after, true);
    add("names", c.names.join(", "), true);
    add("key", c.key);
    add("signature", c.signature);
    if (c.automatic) add("made by", "Windows itself, as it does where none is given");
    add("SHA-1", c.sha1, true);
    add("SHA-256", c.sha256, true);
    return h("div", { class: "certificate" }, h("h3", { text: "Certificate of the server" }), warning && h("p", { class: "warning", text: warning }), drawing, list);
  };

  const aboutCard = (d) => {
    const list = h("dl", { class: "facts" });
    const add = (label, ...value) => list.append(h("dt", { text: label }), h("dd", {}, value));
    add("client", h("span", { class: "code", text: d.client }));
    add("server", h("span", { class: "code", text: d.server }));
    if (d.user) add("user", h("span", { class: "code", text: d.user }));
    add("from", h("span", { class: "code", text: stamp(d.start) }));
    add("took", spoken(d.end - d.start) + (d.reached === null ? "" : ", came as far as " + stepTitle(d.reached)));
    const closed = h("dl", { class: "facts" });
    for (const [label, value] of d.about) {
      const row = [h("dt", { text: texts[label] }), h("dd", { class: "code", text: texts[value] })];
      (CLOSED.has(texts[label]) ? closed : list).append(...row);
    }
    closed.append(h("dt", { text: "session" }), h("dd", { class: "code", text: d.id }));
    for (const alias of d.aliases) closed.append(h("dt", { text: "also" }), h("dd", { class: "code", text: alias }));
    const card = h("div", {}, h("h3", { text: "Connection" }), list, h("details", { class: "list" }, h("summary", { text: "Fingerprints and identifiers" }), closed));
    if (d.certificate !== null && certificates[d.certificate]) card.append(certificateCard(d));
    return card;
  };

  // ---- sequence diagram ----

  // What several captures saw alike is drawn once.
  const drawnRows = (d) => {
    const drawn = [];
    const open = new Map();
    const proofs = new Set(d.causes.length ? d.causes[0].for : []);
    for (let i = 0; i < d.facts.own; i += 1) {
      const one = factOf(d, i);
      const key = one.way + " " + one.says;
      const known = open.get(key);
      if (one.way !== 3 && known && !known.witnesses.has(one.witness) && one.at - known.at < 5e6) {
        known.witnesses.add(one.witness);
        known.facts.push(i);
        known.proof = known.proof || proofs.has(i);
        continue;
      }
      const row = { ...one, witnesses: new Set([one.witness]), facts: [i], proof: proofs.has(i) };
      open.set(key, row);
      drawn.push(row);
    }
    return drawn;
  };
  const breakOf = (d, drawn) => drawn.find((row) => row.facts.includes(d.broke)) || null;
  const fewer = (drawn, broke) => {
    if (drawn.length <= DRAWN) return { list: drawn, at: -1, left: 0 };
    const head = Math.floor(DRAWN * 0.55), tail = drawn.length - (DRAWN - head);
    const list = drawn.filter((row, index) => index < head || index >= tail || row.proof || row === broke);
    return { list, at: head, left: drawn.length - list.length };
  };

  const sequence = (d, show) => {
    const all = drawnRows(d);
    const broke = breakOf(d, all);
    const { list, at: cutAt, left } = fewer(all, broke);
    const ends = d.ends;
    const WIDTH = 1060, LEFT = 270, RIGHT = 70, HEAD = 56, STEP = 25;
    // Who stands behind the server (broker, domain controller) says little, and gets little room.
    const servers = Math.max(1, ends.findIndex((end) => end.role === "server"));
    const BEHIND = 150, far = WIDTH - RIGHT - BEHIND * (ends.length - 1 - servers);
    const x = (end) => (end <= servers ? LEFT + (end * (far - LEFT)) / servers : far + (end - servers) * BEHIND);
    const total = Math.max(1, d.end - d.start);
    const gapMin = Math.max(2e5, total * 0.12);
    const body = [];
    const gaps = [];
    let y = HEAD + 22, before = null, highest = -1;
    list.forEach((row, index) => {
      if (index === cutAt && left) {
        body.push(s("text", { class: "dim", x: WIDTH / 2 + 80, y, "text-anchor": "middle", text: left + " facts are not drawn: they stand in the list below" }));
        y += STEP;
      }
      if (before !== null && row.at - before > gapMin) {
        gaps.push([y - 12, y + 12]);
        body.push(s("text", { class: "dim over", x: (LEFT + far) / 2, y: y + 4, "text-anchor": "middle", text: spoken(row.at - before) + " without anything new" }));
        y += STEP + 8;
      }
      before = row.at;
      if (row === broke) body.push(s("rect", { class: "break", x: 0, y: y - 15, width: WIDTH, height: STEP + 1 }));
      // The steps climbed, each once; and the one that broke.
      if (row === broke) body.push(s("text", { class: "bad", x: 6, y: y + 3, text: "✕ " + cut(stepTitle(d.step), 19) }));
      else if (row.step !== null && row.step > highest) body.push(s("text", { class: "dim", x: 6, y: y + 3, text: cut(stepTitle(row.step), 24) }));
      if (row.step !== null) highest = Math.max(highest, row.step);
      body.push(s("text", { class: "dim", x: LEFT - 58, y: y + 3, "text-anchor": "end", text: since(row.at) }));
      body.push(drawnRow(row, row === broke, x, y, [LEFT, far], show));
      y += STEP;
    });
    const height = y + 8;
    const lines = ends.map((end, index) => [
      s("line", { class: "lifeline", x1: x(index), y1: HEAD - 6, x2: x(index), y2: height - 6 }),
      s("text", { class: "head", x: x(index), y: 18, "text-anchor": index === ends.length - 1 && index ? "end" : "middle", dx: index === ends.length - 1 && index ? RIGHT - 6 : 0, text: end.role }),
      s("text", { class: "dim", x: x(index), y: 35, "text-anchor": index === ends.length - 1 && index ? "end" : "middle", dx: index === ends.length - 1 && index ? RIGHT - 6 : 0 }, s("title", { text: end.name }), cut(end.name, index > servers ? 21 : servers > 1 || ends.length > 2 ? 33 : 46)),
    ]);
    const dashes = gaps.map(([from, to]) => ends.map((_, index) => s("line", { class: "lifeline gap", x1: x(index), y1: from, x2: x(index), y2: to })));
    const title = (d.happened || "How it went") + ": " + d.client + " to " + d.server;
    const svg = s("svg", { viewBox: "0 0 " + WIDTH + " " + height, role: "img", "aria-label": title },
      s("title", { text: title }), s("desc", { text: list.map((row) => since(row.at) + " " + row.says).join("; ") }), lines, dashes, body);
    return h("figure", { class: "sequence" }, h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Sequence diagram" }, svg),
      h("figcaption", {}, h("span", {}, h("i", { class: "key packet" }), " packets"), h("span", {}, h("i", { class: "key log" }), " log records"),
        h("span", {}, h("i", { class: "key break" }), " where it broke"), h("span", { text: "dashed: told by size and position" }), h("span", { text: "×2: seen by two captures" })));
  };
  const drawnRow = (row, isBreak, x, y, [left, right], show) => {
    const inferred = row.reading === 2 ? " inferred" : "";
    const bad = isBreak || row.proof ? " bad" : "";
    const seen = row.witnesses.size > 1 ? " ×" + row.witnesses.size : "";
    const tip = s("title", { text: since(row.at) + " " + row.says + " (" + row.path + (row.place ? ", " + row.place : "") + ")" });
    const group = (...parts) => s("g", { class: "hit", on: { click: () => show(row.facts[0]) } }, tip, parts);
    if ((row.way === 1 || row.way === 2) && row.from !== null && row.to !== null && row.from !== row.to) {
      const from = x(row.from), whole = x(row.to), forward = whole > from;
      const to = row.way === 2 ? from + (whole - from) * 0.62 : whole;
      const label = cut(row.says, Math.floor((Math.abs(whole - from) - 40) / (bad ? 7.6 : 6.7))) + seen;
      const head = forward ? -7 : 7;
      return group(s("line", { class: "arrow" + inferred + bad, x1: from, y1: y + 6, x2: to - (forward ? 3 : -3), y2: y + 6 }),
        row.way === 2
          ? s("path", { class: "cross", d: "M" + (to - 5) + " " + (y + 1) + "l10 10m0 -10l-10 10" })
          : s("path", { class: "tip" + bad, d: "M" + to + " " + (y + 6) + "l" + head + " -4v8z" }),
        s("text", { class: "over" + bad, x: from + (forward ? 8 : -8), y: y + 1, "text-anchor": forward ? "start" : "end", text: label }));
    }
    const isLog = row.way === 3;
    const place = isLog && row.from !== null ? x(row.from) : (left + right) / 2;
    if (!isLog) {
      return group(s("text", { class: "over" + (bad || " dim"), x: place, y: y + 3, "text-anchor": "middle", text: cut(row.says, Math.floor((right - left) / 6.5)) + seen }));
    }
    const toLeft = row.from !== null && row.from > 0;
    return group(s("circle", { class: "dot log" + (row.proof ? " proof" : ""), cx: place, cy: y, r: 5 }),
      s("text", { class: "over" + (bad || " log"), x: place + (toLeft ? -11 : 11), y: y + 4, "text-anchor": toLeft ? "end" : "start", text: cut(row.says, Math.floor((toLeft ? place - left - 20 : right - place) / 6.6)) }));
  };

  // ---- timeline of all witnesses ----

  const timeline = (d, show) => {
    const facts = [];
    for (let i = 0; i < d.facts.own; i += 1) facts.push(factOf(d, i));
    const proofs = new Set(d.causes.length ? d.causes[0].for : []);
    const broke = breakOf(d, drawnRows(d));
    const told = new Set(facts.map((one) => one.witness).filter((one) => one !== null));
    const first = Math.min(0, ...facts.map((one) => one.at)), last = Math.max(d.end - d.start, ...facts.map((one) => one.at));
    const looked = (witness) => witness.covers && witness.covers[0] - d.start <= last && witness.covers[1] - d.start >= first;
    const all = table.witnesses.map((_, index) => index);
    const candidates = [...all.filter((index) => told.has(index)), ...all.filter((index) => !told.has(index) && looked(table.witnesses[index]))];
    const lanes = candidates.slice(0, LANES);
    const more = [[Math.max(0, told.size - LANES), "tell of it too"], [table.witnesses.length - Math.max(told.size, lanes.length), "tell nothing of it"]];
    const beside = more.filter(([count]) => count > 0).map(([count, what]) => count + (count === 1 ? " more witness " + what.replace("tell", "tells") : " more witnesses " + what));
    const margin = Math.max(50, (last - first) * 0.04);
    const fit = [first - margin, last + margin];
    let view = fit.slice();
    const LANE = 44, AXIS = 26;
    const height = lanes.length * LANE + AXIS;
    const box = h("div", { class: "scroll", tabindex: 0, role: "group",
      "aria-label": "Timeline of all witnesses. Plus and minus zoom, left and right arrows move, 0 shows all." });
    const svg = s("svg", { height, preserveAspectRatio: "xMinYMin", role: "img", "aria-label": "Timeline of " + lanes.length + " witnesses" });
    box.append(svg);
    const range = h("span", {});
    const draw = () => {
      const width = Math.max(300, box.clientWidth || 900);
      const x = (us) => ((us - view[0]) / (view[1] - view[0])) * width;
      const inside = (us) => Math.max(-10, Math.min(width + 10, x(us)));
      svg.setAttribute("viewBox", "0 0 " + width + " " + height);
      const parts = [s("title", { text: "When each witness saw what" })];
      const raw = (view[1] - view[0]) / Math.max(3, Math.floor(width / 130));
      const power = 10 ** Math.floor(Math.log10(Math.max(raw, 1)));
      const unit = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= raw) || power * 10;
      for (let tick = Math.ceil(view[0] / unit) * unit; tick <= view[1]; tick += unit) {
        parts.push(s("line", { class: "tick", x1: x(tick), y1: 0, x2: x(tick), y2: height - AXIS }),
          s("text", { class: "dim", x: Math.max(18, Math.min(width - 24, x(tick))), y: height - 9, "text-anchor": "middle", text: tick === 0 ? "start" : since(tick) }));
      }
      lanes.forEach((index, place) => parts.push(lane(index, place * LANE, width, x, inside)));
      if (broke) parts.push(s("line", { class: "broke", x1: x(broke.at), y1: 0, x2: x(broke.at), y2: height - AXIS }));
      svg.replaceChildren(...parts.flat(9));
      range.textContent = stamp(Math.round(d.start + view[0])) + " to " + stamp(Math.round(d.start + view[1])) + " (" + spoken(Math.round(view[1] - view[0])) + ")";
    };
    const lane = (index, top, width, x, inside) => {
      const witness = table.witnesses[index];
      const parts = [s("rect", { class: "uncovered", x: 0, y: top + 21, width, height: 14 })];
      if (witness.covers) {
        const from = inside(witness.covers[0] - d.start), to = inside(witness.covers[1] - d.start);
        if (to > from) parts.push(s("rect", { class: "cover", x: from, y: top + 21, width: to - from, height: 14 }, s("title", { text: "covers " + stamp(witness.covers[0]) + " to " + stamp(witness.covers[1]) })));
      }
      for (const one of facts.filter((fact) => fact.witness === index)) {
        const at = x(one.at);
        if (at < -20 || at > width + 20) continue;
        const error = (witness.error / (view[1] - view[0])) * width;
        if (error > 3) parts.push(s("line", { class: "whisker", x1: Math.max(-10, at - error), y1: top + 28, x2: Math.min(width + 10, at + error), y2: top + 28 }));
        parts.push(s("circle", { class: "dot hit" + (one.way === 3 ? " log" : one.way === 0 ? " between" : "") + (proofs.has(one.i) ? " proof" : ""), cx: at, cy: top + 28, r: proofs.has(one.i) ? 5.5 : 4.5, on: { click: () => show(one.i) } },
          s("title", { text: since(one.at) + " " + one.says })));
      }
      const silent = told.has(index) ? "" : looked(witness) ? " · looked, and tells nothing of it" : "";
      const room = Math.floor(width / 6.6), name = cut(witness.name, Math.min(60, Math.max(18, room - 20)));
      parts.push(s("text", { class: "over", x: 6, y: top + 15 }, s("tspan", { class: "head", text: name }), s("tspan", { class: "dim", dx: 10, text: cut(clockOf(witness) + silent, Math.max(4, room - name.length - 2)) })));
      return parts;
    };
    const limit = (from, to) => {
      const span = Math.min(Math.max(to - from, 20), (fit[1] - fit[0]) * 30);
      const middle = (from + to) / 2;
      view = [middle - span / 2, middle + span / 2];
      draw();
    };
    const zoom = (by, around) => {
      const at = around === undefined ? (view[0] + view[1]) / 2 : around;
      limit(at - (at - view[0]) * by, at + (view[1] - at) * by);
    };
    const move = (share) => { const by = (view[1] - view[0]) * share; limit(view[0] + by, view[1] + by); };
    const whole = () => { view = fit.slice(); draw(); };
    const keys = { "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), "_": () => zoom(2), ArrowLeft: () => move(-0.2), ArrowRight: () => move(0.2), "0": whole, Home: whole };
    box.addEventListener("keydown", (event) => {
      const act = keys[event.key];
      if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      act();
    });
    const under = (event) => view[0] + ((event.clientX - box.getBoundingClientRect().left) / box.clientWidth) * (view[1] - view[0]);
    box.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      zoom(event.deltaY > 0 ? 1.25 : 0.8, under(event));
    }, { passive: false });
    let dragged = null;
    box.addEventListener("pointerdown", (event) => { if (event.button === 0 && event.pointerType === "mouse") dragged = { x: event.clientX, view: view.slice() }; });
    addEventListener("pointerup", () => { dragged = null; });
    box.addEventListener("pointermove", (event) => {
      if (!dragged) return;
      const by = ((dragged.x - event.clientX) / box.clientWidth) * (dragged.view[1] - dragged.view[0]);
      limit(dragged.view[0] + by, dragged.view[1] + by);
    });
    draw();
    new ResizeObserver(draw).observe(box);
    const tool = (text, label, act) => h("button", { type: "button", "aria-label": label, title: label, text, on: { click: act } });
    return h("figure", { class: "timeline" },
      h("figcaption", {}, h("span", { class: "tools" }, tool("−", "Zoom out", keys["-"]), tool("+", "Zoom in", keys["+"]), tool("◀", "Earlier", keys.ArrowLeft), tool("▶", "Later", keys.ArrowRight), tool("All", "Show all", whole)), range),
      box,
      h("figcaption", {}, h("span", {}, h("i", { class: "key other" }), " covered"), h("span", {}, h("i", { class: "key packet" }), " packets"), h("span", {}, h("i", { class: "key log" }), " log records"),
        h("span", { text: "red ring: proof; red line: where it broke; grey line through a dot: error of its clock" }),
        beside.map((text) => h("span", { text }))));
  };

  const sessionView = (d, host) => {
    const proofs = new Set(d.causes.length ? d.causes[0].for.concat(d.causes[0].against) : []);
    const list = h("div", {});
    const all = h("details", { class: "list all-facts" }, h("summary", { text: "All " + d.facts.own + " facts, with their raw fields" }), list);
    const build = () => { if (!list.childElementCount) for (let i = 0; i < d.facts.own; i += 1) list.append(foldedFact(d, i, proofs)); };
    all.addEventListener("toggle", () => { if (all.open) build(); });
    const show = (i) => {
      all.open = true;
      build();
      const box = list.children[i];
      if (!box) return;
      for (const other of list.querySelectorAll(".shown")) other.classList.remove("shown");
      box.classList.add("shown");
      box.open = true;
      box.firstElementChild.focus({ preventScroll: true });
      box.scrollIntoView({ block: "center" });
    };
    const best = d.causes[0];
    const why = best ? d.why : failed(d.outcome) ? "the evidence shows where it broke and does not tell why" : d.outcome;
    host.replaceChildren(
      h("h4", {}, failed(d.outcome) ? [h("span", { class: "bad", text: d.happened }), ": " + why] : why),
      h("div", { class: "cards" }, verdictCard(d), aboutCard(d)),
      h("h3", { text: "Sequence" }), sequence(d, show),
      h("h3", { text: "Witnesses" }), timeline(d, show),
      all);
    if (d.left_out) host.append(h("p", { class: "left-out", text: d.left_out + " facts of this connection are not in this page." }));
  };

  const attemptView = (index) => {
    const lines = rows.details[index];
    const view = h("div", { class: "session" });
    if (!lines.length) {
      const cause = rows.cause[index] === null ? null : table.causes[rows.cause[index]];
      const remedy = cause && h("p", { class: "remedy" }, prose(cause.remedy));
      view.append(h("h4", { text: table.texts[rows.note[index]] }));
      if (cause) view.append(h("p", {}, h("b", { text: rows.percent[index] + " % sure" }), " ", h("code", { text: cause.id })), h("h3", { text: "To do" }), copyable(remedy, cause.remedy, "what to do"));
      view.append(h("p", { class: "left-out", text: "Its facts are not in this page, to keep the file small. These options show it alone:" }));
      const options = '--at "' + stamp(rows.start[index]) + '+-1s"';
      view.append(copyable(h("pre", { text: options }), options, "the options"), h("h3", { text: "Sessions" }), h("p", { class: "code", text: rows.sessions[index].join(", ") }));
      return view;
    }
    const host = h("div", {});
    if (rows.sessions[index].length > 1) {
      const tabs = h("div", { class: "tabs", role: "group", "aria-label": "Connections of this attempt" }, h("span", { text: rows.sessions[index].length + " connections were tried:" }));
      lines.forEach((line, number) => {
        const one = detail(line);
        const label = since(one.start - rows.start[index]) + " " + one.outcome + (one.step === null ? "" : " at " + stepTitle(one.step)) + (number ? "" : " (tells most)");
        const tab = h("button", { type: "button", "aria-pressed": number === 0, text: label, on: { click: () => {
          for (const other of tabs.querySelectorAll("button")) other.setAttribute("aria-pressed", other === tab);
          sessionView(one, host);
        } } });
        tabs.append(tab);
      });
      if (lines.length < rows.sessions[index].length) tabs.append(h("span", { text: "and " + (rows.sessions[index].length - lines.length) + " that are not in this page" }));
      view.append(tabs);
    }
    view.append(host);
    sessionView(detail(lines[0]), host);
    return view;
  };

  // ---- the table ----

  const body = byId("table").tBodies[0];
  const head = byId("table").tHead;
  const found = byId("shown"), more = byId("more");
  const text = byId("text"), outcome = byId("outcome"), cause = byId("cause");
  const hay = new Array(count);
  for (let i = 0; i < count; i += 1) {
    const why = rows.cause[i] === null ? "" : table.causes[rows.cause[i]].id;
    const step = rows.step[i] === null ? "" : table.steps[rows.step[i]].join(" ");
    hay[i] = [stamp(rows.start[i]), table.outcomes[rows.outcome[i]], step, why, table.texts[rows.note[i]], rows.client[i], rows.server[i], rows.user[i] || "", rows.guess[i] ? "guessing scanning" : "", ...rows.sessions[i]].join("\u0001").toLowerCase();
  }
  let picked = [];
  let shown = 0;
  let sorted = null;
  const opened = new Set();

  const rowOf = (i) => {
    const name = table.outcomes[rows.outcome[i]];
    const id = "a" + i;
    const toggle = h("button", { type: "button", class: "toggle", "aria-expanded": false, "aria-controls": id, text: stamp(rows.start[i]).replace("T", " ").replace("Z", "") });
    const why = rows.cause[i] === null ? null : h("span", { class: "sub" }, " " + rows.percent[i] + " % ", h("code", { text: table.causes[rows.cause[i]].id }));
    return h("tr", { class: "row " + name, "data-row": i },
      h("td", { class: "time" }, toggle), h("td", {}, h("span", { class: "outcome " + name, text: name })),
      h("td", { text: rows.step[i] === null ? "" : stepTitle(rows.step[i]) }), h("td", { class: "note" }, table.texts[rows.note[i]], why),
      h("td", { class: "code", "data-name": "client" }, named(rows.client[i])), h("td", { class: "code", "data-name": "server" }, named(rows.server[i])),
      h("td", { class: "code", "data-name": rows.user[i] === null ? null : "user" }, named(rows.user[i] || "").slice(0, rows.user[i] === null ? 0 : 1)));
  };
  const toggleRow = (row, open) => {
    const i = Number(row.dataset.row);
    const button = row.querySelector(".toggle");
    const next = row.nextElementSibling;
    const isOpen = button.getAttribute("aria-expanded") === "true";
    if (isOpen === open) return;
    button.setAttribute("aria-expanded", open);
    row.classList.toggle("open", open);
    if (open) {
      opened.add(i);
      const cell = h("td", { colspan: 7, id: "a" + i });
      row.after(h("tr", { class: "more" + (failed(table.outcomes[rows.outcome[i]]) ? "" : " fine") }, cell));
      cell.append(attemptView(i));
    } else {
      opened.delete(i);
      if (next && next.classList.contains("more")) next.remove();
    }
  };
  const showMore = () => {
    const part = picked.slice(shown, shown + CHUNK).map(rowOf);
    shown += part.length;
    body.append(...part);
    for (const row of part) if (opened.has(Number(row.dataset.row))) { opened.delete(Number(row.dataset.row)); toggleRow(row, true); }
    more.hidden = shown >= picked.length;
    more.textContent = "Show " + Math.min(CHUNK, picked.length - shown) + " more of " + picked.length;
  };
  const compare = {
    start: (i) => rows.start[i], outcome: (i) => rows.outcome[i], step: (i) => (rows.step[i] === null ? 99 : rows.step[i]),
    note: (i) => (rows.cause[i] === null ? "~" : table.causes[rows.cause[i]].id) + " " + pad(100 - (rows.percent[i] || 0), 3),
    client: (i) => rows.client[i], server: (i) => rows.server[i], user: (i) => rows.user[i] || "\uffff",
  };
  const filter = (isAsked) => {
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wantedOutcome = outcome.value === "" ? null : outcome.value;
    const wantedCause = cause.value === "" ? null : cause.value.split(" ");
    picked = [];
    for (let i = 0; i < count; i += 1) {
      const name = table.outcomes[rows.outcome[i]];
      if (wantedOutcome === "failed" ? !failed(name) : wantedOutcome !== null && name !== wantedOutcome) continue;
      if (wantedCause !== null) {
        const own = rows.cause[i] === null ? "?" : table.causes[rows.cause[i]].id;
        if (!failed(name) || own !== wantedCause[0]) continue;
        if (wantedCause[1] && (rows.step[i] === null || table.steps[rows.step[i]][0] !== wantedCause[1])) continue;
      }
      if (words.every((word) => hay[i].includes(word))) picked.push(i);
    }
    if (sorted) {
      const key = compare[sorted.by];
      const keys = new Map(picked.map((i) => [i, key(i)]));
      const way = sorted.down ? -1 : 1;
      picked.sort((a, b) => { const l = keys.get(a), r = keys.get(b); return (l < r ? -way : l > r ? way : 0) || a - b; });
    }
    shown = 0;
    body.replaceChildren();
    showMore();
    found.textContent = picked.length === count ? count + " attempts" : picked.length + " of " + count + " attempts";
    for (const button of document.querySelectorAll("[data-outcome]")) button.setAttribute("aria-pressed", button.dataset.outcome === wantedOutcome);
    if (isAsked) remember();
  };
  const remember = () => {
    const state = new URLSearchParams();
    if (text.value) state.set("q", text.value);
    if (outcome.value) state.set("outcome", outcome.value);
    if (cause.value) state.set("cause", cause.value);
    try { history.replaceState(null, "", state.size ? "#" + state : "#attempts"); } catch { /* A viewer without history. */ }
  };
  const choose = (select, value) => {
    if (value && ![...select.options].some((option) => option.value === value)) select.append(h("option", { value, text: value }));
    select.value = value || "";
  };

  const start = () => {
    document.documentElement.classList.add("js");
    const counts = new Map();
    const outcomes = new Map();
    for (let i = 0; i < count; i += 1) {
      const name = table.outcomes[rows.outcome[i]];
      outcomes.set(name, (outcomes.get(name) || 0) + 1);
      if (!failed(name)) continue;
      const id = rows.cause[i] === null ? "?" : table.causes[rows.cause[i]].id;
      counts.set(id, (counts.get(id) || 0) + 1);
    }
    outcome.append(h("option", { value: "", text: "all" }), h("option", { value: "failed", text: "failed" }), ...table.outcomes.filter((name) => outcomes.has(name)).map((name) => h("option", { value: name, text: name + " (" + outcomes.get(name) + ")" })));
    cause.append(h("option", { value: "", text: "all" }), ...[...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).map(([id, n]) => h("option", { value: id, text: (id === "?" ? "not told" : id) + " (" + n + ")" })));
    for (const cell of head.rows[0].cells) {
      const by = cell.dataset.sort;
      const button = h("button", { type: "button", text: cell.textContent, on: { click: () => {
        sorted = sorted && sorted.by === by ? (sorted.down ? null : { by, down: true }) : { by, down: false };
        for (const other of head.rows[0].cells) other.removeAttribute("aria-sort");
        if (sorted) cell.setAttribute("aria-sort", sorted.down ? "descending" : "ascending");
        filter(true);
      } } });
      cell.replaceChildren(button);
    }
    for (const shownRemedy of document.querySelectorAll("[data-copy]")) {
      const whole = shownRemedy.textContent;
      shownRemedy.replaceChildren(...prose(whole));
      const button = h("button", { type: "button", text: "Copy", "aria-label": "Copy what to do", on: { click: () => copied(whole, shownRemedy, button) } });
      const box = h("div", { class: "copy" });
      shownRemedy.replaceWith(box);
      box.append(shownRemedy, button);
    }
    const state = new URLSearchParams(location.hash.slice(1));
    text.value = state.get("q") || "";
    choose(outcome, state.get("outcome"));
    choose(cause, state.get("cause"));
    filter(false);
    if (picked.length === 1) toggleRow(body.rows[0], true);
  };

  let waiting = 0;
  text.addEventListener("input", () => { cancelAnimationFrame(waiting); waiting = requestAnimationFrame(() => filter(true)); });
  outcome.addEventListener("change", () => filter(true));
  cause.addEventListener("change", () => filter(true));
  byId("filter").addEventListener("submit", (event) => event.preventDefault());
  byId("clear").addEventListener("click", () => { text.value = ""; outcome.value = ""; cause.value = ""; filter(true); text.focus(); });
  more.addEventListener("click", showMore);
  body.addEventListener("click", (event) => {
    const row = event.target.closest("tr.row");
    if (!row || (getSelection().toString() && !event.target.closest("button"))) return;
    toggleRow(row, row.querySelector(".toggle").getAttribute("aria-expanded") !== "true");
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-outcome], [data-cause]");
    if (!button) return;
    if (button.dataset.outcome) outcome.value = outcome.value === button.dataset.outcome ? "" : button.dataset.outcome;
    else choose(cause, (button.dataset.cause || "?") + (button.dataset.step ? " " + button.dataset.step : ""));
    filter(true);
    byId("attempts").scrollIntoView();
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input, select, textarea");
    if (event.key === "/" && !typing) { event.preventDefault(); text.focus(); }
    if (event.key === "Escape" && event.target === text && text.value) { text.value = ""; filter(true); }
  });
  let unfolded = [];
  addEventListener("beforeprint", () => {
    const closed = [...document.querySelectorAll(".causes details, details.rest, main > section > details.list")].filter((box) => !box.open);
    for (const box of closed) box.open = true;
    const failures = [...body.querySelectorAll("tr.row")].filter((row) => failed(table.outcomes[rows.outcome[Number(row.dataset.row)]]));
    const folded = failures.length <= PRINTED ? failures.filter((row) => row.querySelector(".toggle").getAttribute("aria-expanded") !== "true") : [];
    for (const row of folded) toggleRow(row, true);
    unfolded = [closed, folded];
  });
  addEventListener("afterprint", () => {
    const [closed = [], folded = []] = unfolded;
    for (const box of closed) box.open = false;
    for (const row of folded) toggleRow(row, false);
    unfolded = [];
  });
  start();
})();
