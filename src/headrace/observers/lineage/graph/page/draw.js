// Draws the graph as SVG: cards of datasets with their columns, jobs between them. All text is set as text.
"use strict";

const SIZE = { dataset: 236, job: 164, head: 46, jobHead: 38, row: 21, most: 40 };
const SVG = "http://www.w3.org/2000/svg";
const pen = document.createElement("canvas").getContext("2d");
const widths = new Map();

function svg(name, attributes, parent, text) {
  const made = document.createElementNS(SVG, name);
  for (const key in attributes) made.setAttribute(key, attributes[key]);
  if (text !== undefined) made.textContent = text;
  if (parent) parent.appendChild(made);
  return made;
}

function widthOf(text, font) {
  const key = font + text;
  if (!widths.has(key)) { pen.font = `${font} system-ui, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif`; widths.set(key, pen.measureText(text).width); }
  return widths.get(key);
}

// Cut to a width; of names the end says most.
function cut(text, width, font, keepEnd) {
  if (widthOf(text, font) <= width) return text;
  let low = 0, high = text.length;
  const part = (n) => (keepEnd ? "…" + text.slice(text.length - n) : text.slice(0, n) + "…");
  while (low < high) { const n = (low + high + 1) >> 1; if (widthOf(part(n), font) <= width) low = n; else high = n - 1; }
  return part(low);
}

function count(n) { return n === undefined || n === null ? "" : `${n.toLocaleString("en")} ${n === 1 ? "row" : "rows"}`; }
function lastName(text) { return text.split(/[./]/).filter(Boolean).pop() || text; }

class Picture {
  constructor(root, lineage) {
    this.root = root; this.lineage = lineage; this.open = new Set(); this.picked = null; this.lit = null;
  }

  // Columns that a card shows now: all when it is open, else those on the way of the column that is picked.
  shown(dataset) {
    const all = dataset.columns || [], on = this.lit && this.lit.ports.get(dataset.id);
    if (!this.open.has(dataset.id)) return on ? all.filter((c) => on.has(c.name)) : [];
    if (all.length <= SIZE.most || this.whole === dataset.id) return all;
    return all.filter((c, i) => i < SIZE.most || (on && on.has(c.name)));
  }

  measure() {
    const sizes = new Map();
    for (const id of this.lineage.drawn()) {
      const dataset = this.lineage.datasets.get(id);
      if (!dataset) { sizes.set(id, { w: SIZE.job, h: SIZE.jobHead }); continue; }
      const columns = this.shown(dataset), hidden = this.open.has(id) ? (dataset.columns || []).length - columns.length : 0;
      sizes.set(id, { w: SIZE.dataset, h: SIZE.head + (columns.length ? columns.length * SIZE.row + 6 : 0) + (hidden ? SIZE.row : 0), columns, hidden });
    }
    return sizes;
  }

  layOut(wide) {
    this.sizes = this.measure();
    const links = [...this.lineage.links.values()].map((l) => [l.a, l.b]);
    const made = layOut(this.sizes, links, wide);
    this.places = made.places; this.routes = made.routes;
  }

  bounds() {
    let x = 0, y = 0;
    for (const [id, p] of this.places) { const s = this.sizes.get(id); x = Math.max(x, p.x + s.w); y = Math.max(y, p.y + s.h); }
    return { x, y };
  }

  draw() {
    const root = this.root;
    root.replaceChildren();
    root.classList.toggle("picked", !!this.lit);
    root.classList.toggle("bycolumn", !!(this.picked && this.picked.column));
    const below = svg("g", {}, root), between = svg("g", {}, root), above = svg("g", {}, root);
    for (const [name, link] of this.lineage.links) this.drawLink(below, name, link);
    this.ports = new Map();
    for (const id of this.places.keys()) {
      if (this.lineage.datasets.has(id)) this.drawDataset(above, this.lineage.datasets.get(id));
      else this.drawJob(above, this.lineage.jobs.get(id));
    }
    for (const edge of this.lineage.data.columns) this.drawColumnLink(between, edge);
  }

  drawLink(parent, name, link) {
    const a = this.places.get(link.a), b = this.places.get(link.b), sa = this.sizes.get(link.a), sb = this.sizes.get(link.b);
    const half = (s, id) => (this.lineage.datasets.has(id) ? SIZE.head : s.h) / 2;
    const points = [[a.x + sa.w, a.y + half(sa, link.a)], ...(this.routes.get(name) || []), [b.x - 7, b.y + half(sb, link.b)]];
    const lit = this.lit && this.lit.links.has(name) ? " lit" : "";
    svg("path", { d: curve(points), class: `link ${link.basis} ${link.state}${lit}`, "marker-end": "url(#tip)" }, parent);
  }

  drawColumnLink(parent, edge) {
    const lit = this.lit && this.lit.edges.has(edge);
    if (this.picked && !lit) return;
    const from = this.ports.get(port(edge.source, edge.field));
    const to = edge.column ? this.ports.get(port(edge.target, edge.column)) : lit && this.head(edge.target);
    if (!from || !to) return;
    const way = curve([[from.x + SIZE.dataset, from.y], [to.x, to.y]]);
    svg("path", { d: way, class: `colink${lit ? " lit" : ""}${isDirect(edge) ? "" : " indirect"}` }, parent);
  }

  head(id) { const p = this.places.get(id); return p && { x: p.x, y: p.y + SIZE.head / 2 }; }

  card(parent, id, kind, state, label) {
    const p = this.places.get(id), s = this.sizes.get(id), own = this.picked && this.picked.id === id && !this.picked.column;
    const classes = ["node", kind, state || "none", this.lit && this.lit.nodes.has(id) ? "lit" : "", own ? "own" : ""];
    const g = svg("g", { class: classes.join(" "), transform: `translate(${p.x} ${p.y})`, "data-id": id, tabindex: -1, role: "button", "aria-label": label }, parent);
    svg("rect", { class: "box", width: s.w, height: s.h, rx: kind === "job" ? 19 : 8 }, g);
    return [g, p, s];
  }

  drawDataset(parent, d) {
    const facts = [d.type, count(d.rows)].filter(Boolean).join(" · ") || d.namespace, n = (d.columns || []).length;
    const [g, p, s] = this.card(parent, d.id, d.dropped_at ? "dataset dropped" : "dataset", d.state, `dataset ${d.name}, ${facts}`);
    svg("title", {}, g, `${d.namespace}\n${d.name}`);
    svg("rect", { class: "bar", x: 0, y: 7, width: 4, height: SIZE.head - 14, rx: 2 }, g);
    const room = s.w - (n ? 64 : 26);
    svg("text", { class: "title", x: 14, y: 20 }, g, cut(d.label, room, "600 13px", true));
    svg("text", { class: "sub", x: 14, y: 36 }, g, cut(facts, room, "11.5px", false));
    svg("text", { class: "far", x: 14, y: 32 }, g, cut(lastName(d.label), s.w - 24, "600 25px", false));
    if (n) this.drawMore(g, d, s, n);
    if (s.columns.length) svg("line", { class: "rule", x1: 0, x2: s.w, y1: SIZE.head, y2: SIZE.head }, g);
    s.columns.forEach((c, i) => this.drawColumn(g, d, c, p, SIZE.head + 3 + i * SIZE.row));
    if (s.hidden) {
      const all = svg("g", { class: "more whole", transform: `translate(0 ${s.h - SIZE.row})`, "data-whole": d.id }, g);
      svg("rect", { width: s.w, height: SIZE.row }, all);
      svg("text", { x: 14, y: 14 }, all, `… ${s.hidden} more`);
    }
  }

  drawMore(g, d, s, n) {
    const open = this.open.has(d.id);
    const more = svg("g", { class: "more", transform: `translate(${s.w - 46} 8)`, "data-open": d.id, role: "button", "aria-label": `${n} columns` }, g);
    svg("rect", { width: 44, height: 30 }, more);
    svg("text", { x: 36, y: 19, "text-anchor": "end" }, more, `${n} ${open ? "▾" : "▸"}`);
  }

  drawColumn(g, d, c, p, y) {
    const name = port(d.id, c.name), on = this.lit && this.lit.ports.get(d.id);
    const own = this.picked && this.picked.id === d.id && this.picked.column === c.name;
    const state = `${own ? " own" : ""}${on && on.has(c.name) ? " lit" : ""}${c.generated ? " made" : ""}`;
    const row = svg("g", { class: `col${state}`, transform: `translate(0 ${y})`, "data-column": c.name, role: "button", "aria-label": `column ${c.name}` }, g);
    svg("title", {}, row, [c.name, c.type, c.description, c.generated ? "made by the job" : ""].filter(Boolean).join("\n"));
    svg("rect", { x: 1, width: SIZE.dataset - 2, height: SIZE.row, rx: 3 }, row);
    const type = cut((c.type || "").toLowerCase(), 92, "11px", false), left = SIZE.dataset - 34 - widthOf(type, "11px");
    svg("text", { x: 14, y: 15 }, row, cut(c.name, left, own ? "600 12.5px" : "12.5px", true));
    svg("text", { class: "type", x: SIZE.dataset - 10, y: 15, "text-anchor": "end" }, row, type);
    this.ports.set(name, { x: p.x, y: p.y + y + SIZE.row / 2 });
  }

  drawJob(parent, j) {
    const [g, , s] = this.card(parent, j.id, "job", j.state, `job ${j.name}, ${stateWord(j.state)}`);
    svg("title", {}, g, `${j.namespace}\n${j.name}\n${stateWord(j.state)} ${moment(j.at)}`);
    svg("circle", { class: "dot", cx: 18, cy: s.h / 2, r: 5 }, g);
    svg("text", { class: "title", x: 31, y: 16 }, g, cut(this.lineage.shortName(j), s.w - 48, "600 13px", true));
    svg("text", { class: "sub", x: 31, y: 30 }, g, cut([stateWord(j.state), shortMoment(j.at)].filter(Boolean).join(" "), s.w - 44, "11.5px", false));
    svg("text", { class: "far", x: 31, y: 28 }, g, cut(lastName(j.name), s.w - 44, "600 25px", false));
  }
}

function curve(points) {
  let [x, y] = points[0], way = `M${x} ${y}`;
  for (const [nx, ny] of points.slice(1)) {
    // to the left: out of the way in a wide bow
    const bend = nx >= x ? Math.max((nx - x) / 2, 18) : Math.min(90 + (x - nx) / 4, 260);
    way += `C${x + bend} ${y} ${nx - bend} ${ny} ${nx} ${ny}`;
    [x, y] = [nx, ny];
  }
  return way;
}

function stateWord(state) {
  return { COMPLETE: "done", FAIL: "failed", ABORT: "aborted", START: "running", RUNNING: "running" }[state] || (state ? state.toLowerCase() : "never ran");
}
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
function shortMoment(at) {
  if (!at) return "";
  const day = `${+at.slice(8, 10)} ${MONTHS[+at.slice(5, 7) - 1]}`;
  return at.slice(0, 4) === new Date().toISOString().slice(0, 4) ? `${day} ${at.slice(11, 16)}` : `${day} ${at.slice(0, 4)}`;
}
function moment(at) { return at ? at.slice(0, 16).replace("T", " ") : ""; }
