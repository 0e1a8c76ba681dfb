"use strict";
// Search and history of the gallery. Data come from the JSON block and enter the page as text, never as markup.
(() => {
  const STEP = 50;
  const data = JSON.parse(document.getElementById("data").textContent);
  const [PUBLISHED, DAMAGED] = [0, 1];
  const find = (id) => document.getElementById(id);
  document.documentElement.classList.add("scripts");

  const reports = data.rows.map(([state, series, own, said, asOf, when, more]) => ({
    state, series: data.texts[series], own, said: data.texts[said], asOf, when, more: data.texts[more],
  }));
  const isReport = (report) => report.state <= DAMAGED;
  const ofSeries = new Map();
  for (const report of reports) {
    if (!isReport(report)) continue;
    if (!ofSeries.has(report.series)) ofSeries.set(report.series, []);
    ofSeries.get(report.series).push(report);
  }
  const latest = new Set();
  for (const versions of ofSeries.values()) {
    versions.sort((a, b) => b.own - a.own);
    latest.add(versions[0]);
  }

  const reference = (report) => (isReport(report) ? `${report.series}@${report.own}` : report.series);
  const template = (report) => report.series.split("/")[0];
  const day = (report) => report.when.slice(0, 10);
  const folder = (version) => "v" + String(version).padStart(4, "0");
  const path = (series) => series.split("/").map(encodeURIComponent).join("/");
  const link = (report) => (isReport(report) ? `${path(report.series)}/${folder(report.own)}/report.html` : report.own);

  function searched(report) {
    if (report.text === undefined) {
      const words = [reference(report), data.titles[template(report)] || "", report.said, report.more];
      report.text = [...words, report.asOf, day(report), data.states[report.state]].join("\n").toLowerCase();
    }
    return report.text;
  }

  function element(tag, name, text) {
    const made = document.createElement(tag);
    if (name) made.className = name;
    if (name === "rows") made.setAttribute("role", "list");
    if (text) made.textContent = text;
    return made;
  }

  function anchor(href, text) {
    const made = element("a", "", text);
    made.href = href;
    return made;
  }

  function badge(report) {
    if (report.state === PUBLISHED) return element("span", "badge", latest.has(report) ? "latest" : "");
    const state = data.states[report.state];
    return element("span", `badge ${state}`, report.state === DAMAGED ? state : report.more);
  }

  function row(report) {
    const made = element("li");
    const name = element("span");
    if (isReport(report)) name.append(anchor(link(report), reference(report)));
    else name.textContent = report.series;
    const said = element("span", "", report.said);
    if (!isReport(report) && report.own) said.append(" ", anchor(report.own, "The half-run notebook"));
    if (isReport(report)) {
      const facts = [report.asOf && `as of ${report.asOf}`, report.more].filter(Boolean).join(" · ");
      if (facts) said.append(" ", element("span", "was", facts));
    }
    made.append(badge(report), name, said, element("time", "", report.when));
    return made;
  }

  // Rows are shown a step at a time; the button asks for the next one, and the focus goes to its first link.
  function show(list, button, rows) {
    let shown = 0;
    const more = () => {
      const next = rows.slice(shown, shown + STEP).map((make) => make());
      list.append(...next);
      shown += next.length;
      button.hidden = shown >= rows.length;
      return next[0];
    };
    button.onclick = () => {
      const first = more();
      const target = first && first.querySelector("a");
      if (target) target.focus();
    };
    list.replaceChildren();
    more();
  }

  const fields = { q: "query", t: "template", s: "state", f: "from", u: "to" };
  const query = find("query");
  if (query === null) return;

  function wanted() {
    const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
    const [of, state, from, to] = ["template", "state", "from", "to"].map((id) => find(id).value);
    const only = find("latest").checked;
    const given = words.length > 0 || of || state || from || to || only;
    return given ? { words, of, state, from, to, only } : null;
  }

  function matches(report, ask) {
    if (ask.state !== "" && report.state !== Number(ask.state)) return false;
    if (ask.of && template(report) !== ask.of) return false;
    if (ask.only && !latest.has(report)) return false;
    const on = day(report);
    if ((ask.from && on < ask.from) || (ask.to && on > ask.to)) return false;
    const text = ask.words.length ? searched(report) : "";
    return ask.words.every((word) => text.includes(word));
  }

  const list = find("hits").querySelector("ol");
  const button = find("hits").querySelector("button");
  const number = (count) => count.toLocaleString("en");

  function update() {
    const ask = wanted();
    find("hits").hidden = ask === null;
    find("overview").hidden = ask !== null;
    find("clear").disabled = ask === null;
    if (ask === null) {
      find("count").textContent = "";
      list.replaceChildren();
      return;
    }
    const found = reports.filter((report) => matches(report, ask));
    const stopped = found.filter((report) => !isReport(report)).length;
    const told = stopped ? `, and ${number(stopped)} refused or failed` : "";
    find("count").textContent = `${number(found.length - stopped)} of ${number(total)} reports${told}`;
    show(list, button, found.map((report) => () => row(report)));
  }
  const total = reports.filter(isReport).length;

  // The question stands in the address, so that going back from a report leads to it again.
  function remember() {
    const given = Object.entries(fields).map(([key, id]) => [key, find(id).value]).filter(([, value]) => value);
    if (find("latest").checked) given.push(["l", "1"]);
    const asked = new URLSearchParams(given).toString();
    history.replaceState(null, "", asked ? `#?${asked}` : location.pathname + location.search);
  }

  function recall() {
    if (!location.hash.startsWith("#?")) return;
    const given = new URLSearchParams(location.hash.slice(2));
    for (const [key, id] of Object.entries(fields)) find(id).value = given.get(key) || "";
    find("latest").checked = given.has("l");
  }

  for (const id of [...Object.values(fields), "latest"]) {
    find(id).addEventListener("input", update);
    find(id).addEventListener("change", remember); // a browser refuses to do it for every letter
  }
  find("clear").addEventListener("click", () => {
    for (const id of Object.values(fields)) find(id).value = "";
    find("latest").checked = false;
    update();
    remember();
    query.focus();
  });
  document.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      query.focus();
    }
  });
  addEventListener("hashchange", () => {
    recall();
    update();
  });

  function unfold(details) {
    const versions = ofSeries.get(details.dataset.series);
    const pairs = new Map((data.pairs[details.dataset.series] || []).map(([before, after]) => [after, before]));
    const rows = versions.slice(1).map((report) => () => {
      const made = row(report);
      if (pairs.has(report.own)) {
        const before = pairs.get(report.own);
        const page = `compare/${path(report.series)}/${folder(before)}-${folder(report.own)}.html`;
        made.children[2].append(" ", anchor(page, `Compare with version ${before}`));
      }
      return made;
    });
    const [ordered, next] = [element("ol", "rows"), element("button", "", "Show more")];
    next.type = "button";
    const [one, two] = [versions[versions.length - 1], versions[0]].map(reference);
    const note = element("p", "absent", "Any two: ");
    note.append(element("code", "", `toolkit reports compare ${one} ${two}`));
    details.append(ordered, next, note);
    show(ordered, next, rows);
  }
  for (const details of document.querySelectorAll("details.history")) {
    details.addEventListener("toggle", () => unfold(details), { once: true });
  }

  recall();
  update();
})();
