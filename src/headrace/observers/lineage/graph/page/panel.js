// The panel beside the graph: all that is known of what is picked.
"use strict";

function el(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const key in attributes) {
    if (key === "on") made.addEventListener("click", attributes.on);
    else made.setAttribute(key, attributes[key]);
  }
  made.append(...children.filter((c) => c !== null && c !== undefined && c !== ""));
  return made;
}

class Panel {
  constructor(root, lineage, pick, close) { this.root = root; this.lineage = lineage; this.pick = pick; this.close = close; }

  show(picked) {
    this.root.hidden = !picked;
    document.body.classList.toggle("paneled", !!picked);
    if (!picked) return;
    const dataset = this.lineage.datasets.get(picked.id), job = this.lineage.jobs.get(picked.id);
    const parts = picked.column ? this.column(dataset, picked.column) : dataset ? this.dataset(dataset) : this.job(job);
    this.root.replaceChildren(el("button", { class: "close", "aria-label": "Close", title: "Close ( Esc )", on: this.close }, "×"),
      ...parts.filter(Boolean));
    this.root.scrollTop = 0;
  }

  to(id, column, text) { return el("button", { class: "to", on: () => this.pick({ id, column }, true) }, text); }
  part(title, ...rows) { return rows.flat().filter(Boolean).length ? el("section", {}, el("h3", {}, title), ...rows.flat().filter(Boolean)) : null; }
  list(items) { return items.length ? el("ul", {}, ...items.map((i) => el("li", {}, ...[i].flat()))) : null; }

  pairs(rows) {
    const told = rows.filter((r) => r[1] !== "" && r[1] !== null && r[1] !== undefined);
    return told.length ? el("dl", {}, ...told.flatMap(([k, v]) => [el("dt", {}, k), el("dd", {}, v)])) : null;
  }

  dataset(d) {
    const f = d.facets || {}, jobs = unique((this.lineage.into.get(d.id) || []).map((e) => e.job).filter((j) => this.lineage.jobs.has(j)));
    const sources = unique((this.lineage.into.get(d.id) || []).map((e) => e.source).filter(Boolean));
    const targets = unique((this.lineage.from.get(d.id) || []).map((e) => e.target).filter(Boolean));
    const name = (id) => this.to(id, null, this.lineage.datasets.get(id).name);
    return [
      el("h2", {}, d.name), el("p", { class: "dim" }, d.namespace),
      f.documentation && el("p", {}, String(f.documentation.description || "")),
      this.pairs([["kind", [d.type, f.datasetType && f.datasetType.subType].filter(Boolean).join(", ")],
        ["last write", d.state ? el("span", {}, state(d.state), ` ${moment(d.written_at)}`) : ""], ["rows written", count(d.rows)],
        ["size", d.bytes ? `${d.bytes.toLocaleString("en")} bytes` : ""], ["dropped", moment(d.dropped_at)],
        ["change", f.lifecycleStateChange && String(f.lifecycleStateChange.lifecycleStateChange || "").toLowerCase()],
        ["version", f.version && String(f.version.datasetVersion || "")],
        ["owner", f.ownership && (f.ownership.owners || []).map((o) => o.name).join(", ")]]),
      chips(((f.tags && f.tags.tags) || []).filter((t) => !t.field)),
      this.part("Comes from", this.list(sources.map(name))), this.part("Goes into", this.list(targets.map(name))),
      this.part("Jobs", this.list(jobs.map((j) => [this.to(j, null, this.lineage.jobs.get(j).name), " ", state(this.lineage.jobs.get(j).state)]))),
      this.part(`Columns${d.columns && d.columns.length ? ` (${d.columns.length})` : ""}`, this.columns(d)),
      this.part("Last runs", this.runs(jobs.flatMap((j) => this.lineage.jobs.get(j).runs || []))),
      this.part("Also known as", this.list((d.names || []).map((n) => `${n.namespace} ${n.name}`))), this.facets(f),
    ];
  }

  columns(d) {
    if (!d.columns || !d.columns.length) return null;
    return el("table", {}, ...d.columns.map((c) => el("tr", {}, el("td", {}, this.to(d.id, c.name, c.name),
      c.description ? el("small", {}, " ", c.description) : "", ...(c.tags || []).map((t) => el("span", { class: "chip" }, t))),
    el("td", { class: "dim" }, [(c.type || "").toLowerCase(), c.generated && "made by the job"].filter(Boolean).join(", ")))));
  }

  column(d, name) {
    const c = (d.columns || []).find((one) => one.name === name) || { name };
    const into = this.lineage.columnInto.get(port(d.id, name)) || [], from = this.lineage.columnFrom.get(port(d.id, name)) || [];
    const row = (id, column, edge) => [this.to(id, column || null, column || "(all rows)"), el("small", {}, ` ${this.lineage.datasets.get(id).name}`),
      howText(edge) ? el("div", { class: "dim" }, howText(edge)) : "", isDirect(edge) ? "" : el("span", { class: "chip" }, "indirect")];
    return [
      el("h2", {}, name), el("p", {}, this.to(d.id, null, d.name)), el("p", { class: "dim" }, d.namespace),
      c.description && el("p", {}, c.description), this.pairs([["type", c.type]]), chips((c.tags || []).map((t) => ({ key: t }))),
      this.part("Comes from", c.generated && !into.length ? el("p", { class: "dim" }, "made by the job") : this.list(into.map((e) => row(e.source, e.field, e)))),
      this.part("Goes into", this.list(from.map((e) => row(e.target, e.column, e)))),
      this.part("Which rows there are depends on", this.list((this.lineage.whole.get(d.id) || []).map((e) => row(e.source, e.field, e)))),
    ];
  }

  job(j) {
    const f = j.facets || {}, type = f.jobType || {}, edges = this.lineage.ofJob.get(j.id) || [], code = f.sourceCodeLocation;
    const names = (ids) => this.list(unique(ids.filter(Boolean)).map((id) => this.to(id, null, this.lineage.datasets.get(id).name)));
    const held = [...this.lineage.jobs.values()].filter((one) => one.parent === j.id);
    return [
      el("h2", {}, j.name), el("p", { class: "dim" }, j.namespace), f.documentation && el("p", {}, String(f.documentation.description || "")),
      this.pairs([["last run", el("span", {}, state(j.state), ` ${moment(j.at)}`)],
        ["kind", [type.integration, type.jobType].filter(Boolean).join(" ").toLowerCase()],
        ["part of", j.parent && this.lineage.jobs.has(j.parent) ? this.to(j.parent, null, this.lineage.jobs.get(j.parent).name) : ""],
        ["owner", f.ownership && (f.ownership.owners || []).map((o) => o.name).join(", ")], ["code", code && safeLink(code.url)],
        ["made by", safeLink(j.producer)]]),
      chips((f.tags && f.tags.tags) || []), this.part("Reads", names(edges.map((e) => e.source))), this.part("Writes", names(edges.map((e) => e.target))),
      this.part("Jobs of it", this.list(held.map((h) => [this.to(h.id, null, h.name), " ", state(h.state)]))),
      this.part("Last runs", this.runs(j.runs || [])), f.sql && this.part("SQL", el("pre", {}, String(f.sql.query || ""))), this.facets(f),
    ];
  }

  runs(runs) {
    const rows = runs.slice().sort((a, b) => (a.started_at < b.started_at ? 1 : -1)).slice(0, 10);
    if (!rows.length) return null;
    return el("table", {}, ...rows.flatMap((r) => [el("tr", { title: r.run_id }, el("td", {}, state(r.state)), el("td", {}, moment(r.started_at)),
      el("td", { class: "number" }, seconds(r)), el("td", { class: "number" }, count(r.rows_written))),
    r.error ? el("tr", {}, el("td", { colspan: 4 }, el("pre", {}, r.error))) : null].filter(Boolean)));
  }

  facets(facets) {
    const names = Object.keys(facets).sort();
    return this.part("Facets", names.map((name) => el("details", {}, el("summary", {}, name), el("pre", {}, JSON.stringify(plain(facets[name]), null, 2)))));
  }
}

function plain(facet) { return Object.fromEntries(Object.entries(facet).filter(([key]) => !key.startsWith("_"))); }
function unique(list) { return [...new Set(list)]; }
function state(word) { return el("span", { class: `state ${/^[A-Z]+$/.test(word || "") ? word : ""}` }, stateWord(word)); }
function seconds(r) {
  const s = r.started_at && r.ended_at ? (Date.parse(r.ended_at) - Date.parse(r.started_at)) / 1000 : NaN;
  return Number.isNaN(s) ? "" : s < 120 ? `${s.toFixed(s < 10 ? 1 : 0)} s` : `${(s / 60).toFixed(0)} min`;
}
function chips(tags) {
  return tags.length ? el("p", {}, ...tags.map((t) => el("span", { class: "chip" }, t.value && t.value !== "true" ? `${t.key}: ${t.value}` : String(t.key)))) : null;
}
// only web addresses become links: a name may be anything
function safeLink(url) {
  if (typeof url !== "string") return "";
  return /^https?:\/\//i.test(url) ? el("a", { href: url, rel: "noopener noreferrer", target: "_blank" }, url) : url;
}
