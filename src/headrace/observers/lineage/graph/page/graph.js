// What is known: datasets, jobs, edges, columns; what lies up- and downstream of each. Draws nothing.
"use strict";

class Lineage {
  constructor(data) {
    this.data = data;
    this.datasets = new Map(data.datasets.map((d) => [d.id, d]));
    this.jobs = new Map(data.jobs.map((j) => [j.id, j]));
    this.into = new Map(); this.from = new Map(); this.ofJob = new Map();
    this.links = new Map();
    for (const edge of data.edges) {
      add(this.into, edge.target, edge); add(this.from, edge.source, edge); add(this.ofJob, edge.job, edge);
      const job = this.jobs.has(edge.job) ? edge.job : null;
      if (job) { if (edge.source) this.link(edge.source, job, edge); if (edge.target) this.link(job, edge.target, edge); }
      else if (edge.source && edge.target) this.link(edge.source, edge.target, edge);
    }
    this.columnInto = new Map(); this.columnFrom = new Map(); this.whole = new Map();
    for (const edge of data.columns) {
      add(this.columnFrom, port(edge.source, edge.field), edge);
      if (edge.column) add(this.columnInto, port(edge.target, edge.column), edge);
      else add(this.whole, edge.target, edge);
    }
  }

  link(a, b, edge) {
    const name = a + "\n" + b, old = this.links.get(name);
    const failed = edge.state === "FAIL" && b === edge.target;
    // that a job reads a table, or writes it, is sure; which table goes into which may be not
    const basis = edge.source && edge.target ? edge.basis : "explicit";
    if (!old) this.links.set(name, { a, b, state: failed ? "FAIL" : "", basis });
    else { if (failed) old.state = "FAIL"; if (basis !== "run") old.basis = basis; }
  }

  // jobs that only hold others are not drawn; one that failed before it wrote anything is
  drawn() {
    const holders = new Set([...this.jobs.values()].map((j) => j.parent));
    return [...this.datasets.keys(), ...[...this.jobs.keys()].filter((id) => this.ofJob.has(id) || !holders.has(id))];
  }

  // without the name of the job that it is part of
  shortName(job) {
    const above = job.parent && this.jobs.get(job.parent);
    return above && job.name.startsWith(above.name + ".") ? job.name.slice(above.name.length + 1) : job.name;
  }

  near(id, down) {
    const edges = (down ? this.from : this.into).get(id) || [];
    return edges.map((e) => [down ? e.target : e.source, e]);
  }

  // Everything that a dataset or job is made from or goes into.
  around(id) {
    const nodes = new Set([id]), links = new Set();
    const start = this.jobs.has(id) ? this.ofJob.get(id) || [] : [];
    for (const e of start) this.mark(e, nodes, links);
    for (const down of [false, true]) {
      const todo = this.jobs.has(id) ? start.map((e) => (down ? e.target : e.source)).filter(Boolean) : [id];
      const seen = new Set(todo);
      while (todo.length) {
        for (const [other, edge] of this.near(todo.pop(), down)) {
          this.mark(edge, nodes, links);
          if (other && !seen.has(other)) { seen.add(other); todo.push(other); }
        }
      }
    }
    return { nodes, links, ports: new Map(), edges: new Set() };
  }

  mark(edge, nodes, links) {
    const way = [edge.source, this.jobs.has(edge.job) ? edge.job : null, edge.target].filter(Boolean);
    way.forEach((one, i) => { nodes.add(one); if (i) links.add(way[i - 1] + "\n" + one); });
  }

  // Everything that a column is made from or goes into; ports: dataset -> its columns that take part.
  aroundColumn(id, column) {
    const nodes = new Set([id]), links = new Set(), ports = new Map([[id, new Set([column])]]), edges = new Set();
    for (const down of [false, true]) {
      const todo = [[id, column]], seen = new Set([port(id, column)]);
      while (todo.length) {
        const [at, name] = todo.pop();
        for (const edge of (down ? this.columnFrom : this.columnInto).get(port(at, name)) || []) {
          const other = down ? [edge.target, edge.column] : [edge.source, edge.field];
          edges.add(edge);
          this.mark(edge, nodes, links);
          if (!ports.has(other[0])) ports.set(other[0], new Set());
          if (other[1]) ports.get(other[0]).add(other[1]);
          if (other[1] && !seen.has(port(...other))) { seen.add(port(...other)); todo.push(other); }
        }
      }
    }
    return { nodes, links, ports, edges };
  }

  search(words) {
    const wanted = words.toLowerCase().split(/\s+/).filter(Boolean), found = [];
    if (!wanted.length) return found;
    const look = (text, name, hit) => {
      const low = text.toLowerCase();
      if (!wanted.every((w) => low.includes(w))) return;
      const own = name.toLowerCase(), first = wanted[0];
      found.push({ ...hit, rank: own === first ? 0 : own.startsWith(first) ? 1 : own.includes(first) ? 2 : 3 });
    };
    for (const d of this.datasets.values()) {
      look(`${d.namespace} ${d.name}`, d.label, { id: d.id, text: d.name, note: d.namespace });
    }
    for (const j of this.jobs.values()) look(`${j.namespace} ${j.name}`, j.name, { id: j.id, text: j.name, note: `job, ${j.namespace}` });
    for (const d of this.datasets.values()) {
      for (const c of d.columns || []) look(`${d.name}.${c.name}`, c.name, { id: d.id, column: c.name, text: c.name, note: d.name });
    }
    return found.sort((a, b) => a.rank - b.rank || (a.column ? 1 : 0) - (b.column ? 1 : 0)).slice(0, 40);
  }
}

function add(map, key, value) { if (!map.has(key)) map.set(key, []); map.get(key).push(value); }
function port(id, column) { return id + "\n" + column; }
function isDirect(edge) { return !edge.transformations.length || edge.transformations.some((t) => t.type !== "INDIRECT"); }
function howText(edge) {
  return edge.transformations.filter((t) => t.subtype !== "IDENTITY" || t.description)
    .map((t) => [(t.subtype || t.type).toLowerCase().replaceAll("_", " "), t.masking ? "masked" : "", t.description]
      .filter(Boolean).join(", ")).join("; ");
}
