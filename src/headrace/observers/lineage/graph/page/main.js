// Brings it together: view, mouse, keys, search, theme, address.
"use strict";

const FAR = 0.6;  // below this scale only names are shown, and larger
const READABLE = 0.44;
const $ = (id) => document.getElementById(id);
const stage = $("graph");
let touched = false;  // the user has moved: the view is theirs
let lineage, picture, panel, view = { x: 0, y: 0, k: 1 }, current = null;

svg("defs", {}, stage).appendChild(svg("marker", { id: "tip", viewBox: "0 0 8 8", refX: 1, refY: 4, markerWidth: 8, markerHeight: 8, markerUnits: "userSpaceOnUse", orient: "auto" }))
  .appendChild(svg("path", { class: "tip", d: "M0 0L8 4L0 8z" }));
const world = svg("g", {}, stage);

function start(data) {
  lineage = new Lineage(data);
  const open = picture ? picture.open : new Set(), picked = picture ? picture.picked : null;
  picture = new Picture(world, lineage);
  picture.open = open;
  panel = new Panel($("panel"), lineage, pick, () => pick(null));
  const n = data.datasets.length;
  $("title").replaceChildren(data.title, el("small", {}, `${n} ${n === 1 ? "dataset" : "datasets"}, ${moment(data.made_at)} UTC`));
  $("empty").hidden = lineage.drawn().length > 0;
  return picked && (lineage.datasets.has(picked.id) || lineage.jobs.has(picked.id)) ? picked : null;
}

function shape() { return Math.max(stage.clientWidth, 200) / Math.max(stage.clientHeight, 200); }

function render(anchor) {
  const before = anchor && picture.places && picture.places.get(anchor);
  picture.layOut(shape());
  const after = anchor && picture.places.get(anchor);
  if (before && after) { view.x += (before.x - after.x) * view.k; view.y += (before.y - after.y) * view.k; }
  picture.draw();
  drawMap();
  move();
  if (current) focusOn(current);
}

function move() {
  world.setAttribute("transform", `translate(${view.x} ${view.y}) scale(${view.k})`);
  world.classList.toggle("isfar", view.k < FAR);
  moveFrame();
}

function zoom(factor, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
  const k = Math.min(Math.max(view.k * factor, 0.03), 3);
  view.x = x - (x - view.x) * (k / view.k); view.y = y - (y - view.y) * (k / view.k); view.k = k;
  move();
}

// ---- the small map: what there is, and what part of it is seen ----

const map = $("map");
let frame = null;
function drawMap() {
  const end = picture.bounds();
  map.replaceChildren();
  map.setAttribute("viewBox", `-20 -20 ${end.x + 40} ${end.y + 40}`);
  for (const [id, p] of picture.places) {
    const s = picture.sizes.get(id), state = (lineage.datasets.get(id) || lineage.jobs.get(id)).state;
    const lit = picture.lit && picture.lit.nodes.has(id) ? " lit" : "";
    svg("rect", { x: p.x, y: p.y, width: s.w, height: s.h, class: `spot ${state === "FAIL" ? "FAIL" : ""}${lit}` }, map);
  }
  frame = svg("rect", { class: "frame" }, map);
}
function moveFrame() {
  if (!frame) return;
  const end = picture.bounds(), w = stage.clientWidth / view.k, h = stage.clientHeight / view.k, x = -view.x / view.k, y = -view.y / view.k;
  map.toggleAttribute("hidden", x <= 0 && y <= 0 && x + w >= end.x && y + h >= end.y);
  for (const [key, value] of Object.entries({ x, y, width: w, height: h })) frame.setAttribute(key, value);
}
function goTo(e) {
  const at = new DOMPoint(e.clientX, e.clientY).matrixTransform(map.getScreenCTM().inverse());
  view.x = stage.clientWidth / 2 - at.x * view.k; view.y = stage.clientHeight / 2 - at.y * view.k;
  move();
}
map.addEventListener("pointerdown", (e) => { map.setPointerCapture(e.pointerId); goTo(e); });
map.addEventListener("pointermove", (e) => { if (map.hasPointerCapture(e.pointerId)) goTo(e); });

// At first: all of it, as long as names can be read; else the part on the left.
function begin() {
  fit();
  if (view.k >= READABLE) return;
  const end = picture.bounds();
  view.k = READABLE;
  view.x = end.x * view.k < stage.clientWidth ? (stage.clientWidth - end.x * view.k) / 2 : 24;
  view.y = end.y * view.k < stage.clientHeight ? (stage.clientHeight - end.y * view.k) / 2 : 24;
  move();
}

function fit(ids) {
  const boxes = (ids ? [...ids] : [...picture.places.keys()]).filter((id) => picture.places.has(id)).map((id) => ({ ...picture.places.get(id), ...picture.sizes.get(id) }));
  if (!boxes.length) return;
  const left = Math.min(...boxes.map((b) => b.x)), top = Math.min(...boxes.map((b) => b.y));
  const w = Math.max(...boxes.map((b) => b.x + b.w)) - left, h = Math.max(...boxes.map((b) => b.y + b.h)) - top;
  const room = { w: stage.clientWidth - 48, h: stage.clientHeight - 76 - below() };
  view.k = Math.min(Math.max(Math.min(room.w / w, room.h / h, 1.15), 0.03), 3);
  view.x = 24 + (room.w - w * view.k) / 2 - left * view.k;
  view.y = 24 + (room.h - h * view.k) / 2 - top * view.k;
  move();
}

// what the panel covers in a narrow window
function below() { return !$("panel").hidden && matchMedia("(max-width: 760px)").matches ? $("panel").offsetHeight : 0; }

function pick(picked, centre) {
  const anchor = picked && picture.places.has(picked.id) ? picked.id : null;
  picture.picked = picked; touched = true;
  picture.lit = !picked ? null : picked.column ? lineage.aroundColumn(picked.id, picked.column) : lineage.around(picked.id);
  const was = $("panel").hidden;
  panel.show(picked);
  render(anchor);
  if (was !== $("panel").hidden && !below() && !centre && anchor) reveal(anchor);
  if (centre && anchor) { fit(picture.lit.nodes); if (view.k < FAR) { view.k = 0.8; reveal(anchor, true); } }
  current = anchor;
  const hash = picked ? `#select=${encodeURIComponent(picked.id)}${picked.column ? `&column=${encodeURIComponent(picked.column)}` : ""}` : "";
  try { history.replaceState(null, "", hash || location.pathname + location.search); } catch { /* a file may not */ }
}

function reveal(id, middle) {
  const p = picture.places.get(id), s = picture.sizes.get(id), w = stage.clientWidth, h = stage.clientHeight - below();
  const x = view.x + p.x * view.k, y = view.y + p.y * view.k, right = x + s.w * view.k, tall = Math.min(s.h * view.k, h);
  if (middle || x < 20 || right > w - 20) view.x += middle ? w / 2 - (x + right) / 2 : x < 20 ? 40 - x : w - 40 - right;
  if (middle || y < 20 || y + tall > h - 20) view.y += middle ? (h - tall) / 2 - y : y < 20 ? 40 - y : h - 20 - y - tall;
  move();
}

function toggle(id) { if (!picture.open.delete(id)) picture.open.add(id); render(id); }
function toggleAll() {
  const all = [...lineage.datasets.keys()], open = picture.open.size < all.length;
  picture.open = new Set(open ? all : []);
  $("columns").setAttribute("aria-pressed", open);
  render(current); if (!current) fit();
}

function focusOn(id) {
  const node = [...world.querySelectorAll(".node")].find((g) => g.dataset.id === id);
  if (node && document.activeElement !== $("search") && !$("panel").contains(document.activeElement)) node.focus({ preventScroll: true });
}

// ---- mouse and fingers ----

const fingers = new Map();
let moved = 0;
stage.addEventListener("pointerdown", (e) => { touched = true; fingers.set(e.pointerId, [e.clientX, e.clientY]); if (fingers.size === 1) moved = 0; });
stage.addEventListener("pointermove", (e) => {
  const last = fingers.get(e.pointerId);
  if (!last) return;
  const box = stage.getBoundingClientRect(), others = [...fingers].filter(([id]) => id !== e.pointerId);
  moved += Math.abs(e.clientX - last[0]) + Math.abs(e.clientY - last[1]);
  if (moved > 4 && !stage.hasPointerCapture(e.pointerId)) { stage.setPointerCapture(e.pointerId); stage.classList.add("moving"); }
  if (others.length) {
    const [ox, oy] = others[0][1], apart = (x, y) => Math.hypot(x - ox, y - oy);
    zoom(apart(e.clientX, e.clientY) / Math.max(apart(...last), 1), (e.clientX + ox) / 2 - box.left, (e.clientY + oy) / 2 - box.top);
  } else if (moved > 4) { view.x += e.clientX - last[0]; view.y += e.clientY - last[1]; move(); }
  fingers.set(e.pointerId, [e.clientX, e.clientY]);
});
for (const name of ["pointerup", "pointercancel"]) stage.addEventListener(name, (e) => { fingers.delete(e.pointerId); stage.classList.remove("moving"); });
stage.addEventListener("wheel", (e) => {
  e.preventDefault(); touched = true;
  const box = stage.getBoundingClientRect();
  zoom(Math.exp(-e.deltaY * (e.ctrlKey ? 0.01 : 0.0015)), e.clientX - box.left, e.clientY - box.top);
}, { passive: false });
stage.addEventListener("click", (e) => {
  if (moved > 4) return;
  const open = e.target.closest("[data-open]"), whole = e.target.closest("[data-whole]"), column = e.target.closest(".col"), node = e.target.closest(".node");
  if (open) toggle(open.dataset.open);
  else if (whole) { picture.whole = whole.dataset.whole; render(picture.whole); }
  else if (node) pick({ id: node.dataset.id, column: column ? column.dataset.column : null });
  else pick(null);
});
stage.addEventListener("dblclick", (e) => { const node = e.target.closest(".dataset"); if (node) toggle(node.dataset.id); else fit(); });

// ---- keys ----

const KEYS = [["/", "search"], ["← →", "go to what it comes from, what it goes into"], ["↑ ↓", "go to the one above, below"], ["Enter", "show its lineage"],
  ["Space", "its columns"], ["c", "columns of all"], ["+ − 0", "larger, smaller, all"], ["t", "light or dark"], ["Esc", "back to the whole graph"]];
function walk(way) {
  const nodes = [...picture.places.keys()];
  if (!nodes.length) return;
  const here = current && picture.places.has(current) ? current : null;
  if (!here) { current = nodes[0]; reveal(current); focusOn(current); return; }
  const at = picture.places.get(here), side = way === "ArrowLeft" || way === "ArrowRight";
  const linked = [...lineage.links.values()].filter((l) => (way === "ArrowRight" ? l.a : l.b) === here).map((l) => (way === "ArrowRight" ? l.b : l.a));
  const sign = way === "ArrowDown" ? 1 : -1;
  const near = side ? linked : nodes.filter((id) => { const p = picture.places.get(id); return Math.abs(p.x - at.x) < 60 && (p.y - at.y) * sign > 0; });
  near.sort((a, b) => Math.abs(picture.places.get(a).y - at.y) - Math.abs(picture.places.get(b).y - at.y));
  if (near.length) { current = near[0]; reveal(current); focusOn(current); }
}
document.addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || $("keys").open) return;
  if (e.key === "Escape") { if (document.activeElement === $("search")) $("search").blur(); hideResults(); pick(null); return; }
  if (e.target.closest("input, button, summary, a, [contenteditable]") && e.key !== "Escape") return;
  const inPanel = $("panel").contains(e.target);
  const acts = { "/": () => $("search").focus(), "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8), "0": () => fit(),
    c: toggleAll, t: switchTheme, "?": showKeys, " ": () => current && lineage.datasets.has(current) && toggle(current),
    Enter: () => current && pick({ id: current, column: null }) };
  if (e.key.startsWith("Arrow") && !inPanel) walk(e.key);
  else if (acts[e.key]) acts[e.key]();
  else return;
  e.preventDefault();
});
function showKeys() {
  const close = el("button", { on: () => $("keys").close() }, "Close");
  $("keys").replaceChildren(el("table", {}, ...KEYS.map(([key, text]) => el("tr", {}, el("td", {}, el("kbd", {}, key)), el("td", {}, text)))), el("p", {}, close));
  $("keys").showModal();
}

// ---- search ----

let hits = [], chosen = 0;
function hideResults() { $("results").hidden = true; $("search").setAttribute("aria-expanded", "false"); }
function showResults() {
  hits = lineage.search($("search").value); chosen = 0;
  $("results").replaceChildren(...hits.map((hit, i) => {
    const row = el("li", { role: "option", "aria-selected": i === 0 }, hit.text, el("small", {}, hit.note));
    row.addEventListener("pointerdown", (e) => { e.preventDefault(); take(i); });
    return row;
  }));
  if (!hits.length && $("search").value.trim()) $("results").replaceChildren(el("li", {}, "nothing of that name"));
  $("results").hidden = !$("search").value.trim();
  $("search").setAttribute("aria-expanded", String(!$("results").hidden));
}
function take(i) { const hit = hits[i]; if (!hit) return; hideResults(); $("search").blur(); pick({ id: hit.id, column: hit.column || null }, true); }
$("search").addEventListener("input", showResults);
$("search").addEventListener("focus", () => $("search").value.trim() && showResults());
$("search").addEventListener("blur", hideResults);
$("search").addEventListener("keydown", (e) => {
  if (e.key === "Enter") take(chosen);
  if (e.key !== "ArrowDown" && e.key !== "ArrowUp") return;
  e.preventDefault();
  chosen = Math.min(Math.max(chosen + (e.key === "ArrowDown" ? 1 : -1), 0), hits.length - 1);
  [...$("results").children].forEach((li, i) => { li.setAttribute("aria-selected", i === chosen); if (i === chosen) li.scrollIntoView({ block: "nearest" }); });
});

// ---- theme, buttons, address ----

function setTheme(name) { document.documentElement.dataset.theme = name; }
function switchTheme() {
  const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  setTheme(next);
  try { localStorage.setItem("headrace-lineage-theme", next); } catch { /* not allowed here */ }
}
$("in").onclick = () => zoom(1.25); $("out").onclick = () => zoom(0.8); $("fit").onclick = () => fit(picture.lit && picture.lit.nodes);
$("columns").onclick = toggleAll; $("theme").onclick = switchTheme; $("help").onclick = showKeys;
for (const [name, text] of [["COMPLETE", "done"], ["FAIL", "failed"], ["ABORT", "aborted"], ["RUNNING", "running"], ["none", "never written"]]) {
  $("legend").append(el("span", {}, el("i", { class: name }), text));
}
$("legend").append(el("span", {}, el("i", { class: "dash" }), "by run only, or indirect"));

const asked = new URLSearchParams(location.hash.slice(1));
let kept = null;
try { kept = localStorage.getItem("headrace-lineage-theme"); } catch { /* not allowed here */ }
setTheme(asked.get("theme") || kept || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"));
const given = JSON.parse($("data").textContent);
start(given);
if (asked.get("expand") === "all") { picture.open = new Set(lineage.datasets.keys()); $("columns").setAttribute("aria-pressed", "true"); }
render();
begin();
if (asked.has("select") && (lineage.datasets.has(asked.get("select")) || lineage.jobs.has(asked.get("select")))) pick({ id: asked.get("select"), column: asked.get("column") }, true);
addEventListener("resize", () => { if (!touched) { render(); begin(); } else move(); });

if (given.live) {
  let seen = given.tag;
  setInterval(async () => {
    try {
      const answer = await fetch("api/v1/graph", { headers: { "If-None-Match": seen } });
      if (answer.status !== 200) return;
      seen = answer.headers.get("ETag");
      const picked = start({ ...given, ...await answer.json() });
      if (picked) pick(picked); else { panel.show(null); render(); }
    } catch { /* the server is away: the next look may find it */ }
  }, given.again);
}
document.documentElement.dataset.ready = "yes";
