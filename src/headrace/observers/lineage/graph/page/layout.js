// Places a graph in layers from left to right. Knows sizes and links, and nothing of what is drawn.
"use strict";

const GAP = { layer: 42, row: 16, part: 48 };

// nodes: Map of id -> {w, h}; links: [from, to]. Gives Map of id -> {x, y} and for each link the points between.
function layOut(nodes, links, wide) {
  const parts = componentsOf(nodes, links).map((part) => placePart(part, nodes));
  return pack(parts, wide);
}

function componentsOf(nodes, links) {
  const up = new Map([...nodes.keys()].map((id) => [id, id]));
  const top = (id) => {
    while (up.get(id) !== id) { up.set(id, up.get(up.get(id))); id = up.get(id); }
    return id;
  };
  for (const [a, b] of links) up.set(top(a), top(b));
  const found = new Map();
  for (const id of nodes.keys()) {
    const one = top(id);
    if (!found.has(one)) found.set(one, { ids: [], links: [] });
    found.get(one).ids.push(id);
  }
  for (const link of links) found.get(top(link[0])).links.push(link);
  return [...found.values()];
}

// Longest path from the left, without the links that close a circle; what has nothing before it moves to the right.
function layersOf(ids, links) {
  const out = new Map(ids.map((id) => [id, []]));
  for (const [a, b] of links) if (a !== b) out.get(a).push(b);
  const state = new Map(), back = new Set(), order = [];
  for (const start of ids) {
    if (state.has(start)) continue;
    const stack = [[start, 0]];
    state.set(start, 1);
    while (stack.length) {
      const at = stack[stack.length - 1], next = out.get(at[0])[at[1]++];
      if (next === undefined) { state.set(at[0], 2); order.push(at[0]); stack.pop(); }
      else if (!state.has(next)) { state.set(next, 1); stack.push([next, 0]); }
      else if (state.get(next) === 1) back.add(at[0] + "\n" + next);
    }
  }
  order.reverse();
  const layer = new Map(ids.map((id) => [id, 0])), fed = new Set();
  const forward = (a) => out.get(a).filter((b) => !back.has(a + "\n" + b));
  for (const a of order) for (const b of forward(a)) { layer.set(b, Math.max(layer.get(b), layer.get(a) + 1)); fed.add(b); }
  for (const a of order.slice().reverse()) {
    const after = forward(a).map((b) => layer.get(b));
    if (!fed.has(a) && after.length) layer.set(a, Math.min(...after) - 1);
  }
  return { layer, back };
}

function placePart(part, nodes) {
  const { layer, back } = layersOf(part.ids, part.links);
  const rows = [], cells = new Map(), before = new Map(), after = new Map();
  const put = (id, at, w, h) => {
    cells.set(id, { id, layer: at, w, h, y: 0 });
    (rows[at] = rows[at] || []).push(id);
    before.set(id, []); after.set(id, []);
  };
  for (const id of part.ids) put(id, layer.get(id), nodes.get(id).w, nodes.get(id).h);
  const routes = new Map();
  const join = (a, b) => { after.get(a).push(b); before.get(b).push(a); };
  for (const [a, b] of part.links) {
    const name = a + "\n" + b, via = [];
    routes.set(name, via);
    if (a === b || back.has(name) || layer.get(a) >= layer.get(b)) continue;
    let last = a;
    for (let at = layer.get(a) + 1; at < layer.get(b); at++) {
      const bend = `${name}\n${at}`;
      put(bend, at, 0, 10); join(last, bend); via.push(bend); last = bend;
    }
    join(last, b);
  }
  sortRows(rows, before, after);
  alignRows(rows, cells, before, after);
  return { rows, cells, routes, ids: part.ids };
}

// Fewer crossings: each layer in the order of the middle of its neighbours, to and fro.
function sortRows(rows, before, after) {
  const at = new Map();
  const number = (row) => row.forEach((id, i) => at.set(id, i));
  rows.forEach(number);
  for (let turn = 0; turn < 10; turn++) {
    const down = turn % 2 === 0, near = down ? before : after;
    for (let i = 0; i < rows.length; i++) {
      const row = rows[down ? i : rows.length - 1 - i];
      const middle = new Map(row.map((id) => {
        const places = near.get(id).map((other) => at.get(other)).sort((a, b) => a - b), n = places.length;
        return [id, n === 0 ? at.get(id) : n % 2 ? places[n >> 1] : (places[n / 2 - 1] + places[n / 2]) / 2];
      }));
      row.sort((a, b) => middle.get(a) - middle.get(b) || at.get(a) - at.get(b));
      number(row);
    }
  }
}

// Heights: each cell as near to the middle of its neighbours as the order of its layer allows.
function alignRows(rows, cells, before, after) {
  for (const row of rows) {
    let y = 0;
    for (const id of row) { const cell = cells.get(id); cell.y = y; y += cell.h + GAP.row; }
  }
  for (let turn = 0; turn < 12; turn++) {
    const down = turn % 2 === 0;
    for (let i = 0; i < rows.length; i++) {
      const row = rows[down ? i : rows.length - 1 - i];
      spread(row.map((id) => cells.get(id)), row.map((id) => {
        const near = turn < 10 ? (down ? before : after).get(id) : [...before.get(id), ...after.get(id)];
        const cell = cells.get(id);
        if (!near.length) return cell.y;
        return near.reduce((sum, other) => sum + cells.get(other).y + cells.get(other).h / 2, 0) / near.length - cell.h / 2;
      }));
    }
  }
}

// The places nearest to those wished for that keep order and distance (isotonic regression by pooling neighbours).
function spread(row, wished) {
  const blocks = [];
  let offset = 0;
  row.forEach((cell, i) => {
    blocks.push({ sum: wished[i] - offset, n: 1 });
    cell.offset = offset;
    offset += cell.h + GAP.row;
    while (blocks.length > 1) {
      const last = blocks[blocks.length - 1], prior = blocks[blocks.length - 2];
      if (prior.sum / prior.n <= last.sum / last.n) break;
      prior.sum += last.sum; prior.n += last.n; blocks.pop();
    }
  });
  let i = 0;
  for (const block of blocks) for (let n = 0; n < block.n; n++, i++) row[i].y = block.sum / block.n + row[i].offset;
}

// Parts beside each other on shelves of about the shape of the window.
function pack(parts, wide) {
  for (const part of parts) {
    let x = 0;
    part.rows.forEach((row) => {
      const w = Math.max(...row.map((id) => part.cells.get(id).w));
      for (const id of row) { const cell = part.cells.get(id); cell.x = cell.w ? x : x + w / 2; cell.w ||= 0; }
      x += w + GAP.layer;
    });
    const all = [...part.cells.values()];
    const top = Math.min(...all.map((c) => c.y));
    for (const cell of all) cell.y -= top;
    part.w = x - GAP.layer;
    part.h = Math.max(...all.map((c) => c.y + c.h));
  }
  parts.sort((a, b) => b.ids.length - a.ids.length || b.h - a.h);
  const area = parts.reduce((sum, p) => sum + (p.w + GAP.part) * (p.h + GAP.part), 0);
  const width = Math.max(Math.sqrt(area * wide), ...parts.map((p) => p.w));
  const places = new Map(), routes = new Map();
  let x = 0, y = 0, shelf = 0;
  for (const part of parts) {
    if (x && x + part.w > width) { x = 0; y += shelf + GAP.part; shelf = 0; }
    for (const id of part.ids) { const c = part.cells.get(id); places.set(id, { x: x + c.x, y: y + c.y }); }
    for (const [name, via] of part.routes) {
      routes.set(name, via.map((id) => { const c = part.cells.get(id); return [x + c.x, y + c.y + c.h / 2]; }));
    }
    x += part.w + GAP.part;
    shelf = Math.max(shelf, part.h);
  }
  return { places, routes };
}
