// Rows down, steps across: what each step is, and which one the row's final state equals.

const SHOWN = 8; // units of a step that are named when the mouse is over it

class Steps {
  constructor(track, steps, digits) {
    Object.assign(this, { track, columns: steps, digits, cell: [44, 24], found: new Map() });
    this.show(track.rows.map((_, row) => row));
  }

  show(rows) {
    this.listed = rows;
    this.rows = rows.length;
  }

  rowName(i) { return String(this.listed[i]); }
  columnName(j) { return String(j); }
  sign(i) { return { good: "✓", bad: "✗", silent: "?", unknown: "-" }[this.row(i).standing]; }
  row(i) { return this.track.rows[this.listed[i]]; }
  text() { return ["", null]; }

  isReal(row, j) { return row.real.some(([a, b]) => a <= j && j < b); }

  // All zero: by the levels, or where the report holds none, by the steps that it lists.
  isZero(row, j) {
    const levels = this.track.levels && this.track.levels.rows[this.track.rows.indexOf(row)];
    return levels ? levels[j] === "0" : row.zero.some(([a, b]) => a <= j && j < b);
  }

  paint(i, j0, j1, put) {
    const row = this.row(i);
    const levels = this.track.levels && this.track.levels.rows[this.listed[i]];
    const filled = ["repeat", "constant", "computed", "nonfinite"].includes(row.padding);
    for (let j = j0; j < j1; j += 1) put(j, levels ? sized(levels[j]) : filled ? palette.low : palette.paper);
    for (const [a, b] of levels ? [] : row.real) {
      for (let j = Math.max(a, j0); j < Math.min(b, j1); j += 1) put(j, row.padding === "absent" ? palette.paper : palette.mid);
    }
    for (const [a, b] of levels ? [] : row.zero) {
      for (let j = Math.max(a, j0); j < Math.min(b, j1); j += 1) put(j, palette.paper);
    }
  }

  // The steps that are padding.
  hatched(i) {
    const gaps = [];
    let at = 0;
    for (const [a, b] of this.row(i).real) {
      if (a > at) gaps.push([at, a]);
      at = Math.max(at, b);
    }
    if (at < this.columns) gaps.push([at, this.columns]);
    return gaps;
  }

  // The real steps whose outputs were not recorded.
  unrecorded(i) { return this.row(i).padding === "absent" ? this.row(i).real : []; }

  // Looked for once a row: real steps that are zero, then those that relate to a final state, the wrong ones on top.
  marks(i) {
    const row = this.row(i);
    if (!this.found.has(row)) {
      const levels = this.track.levels && this.track.levels.rows[this.listed[i]];
      const zero = levels ? [...levels.matchAll(/0+/g)].map((run) => [run.index, run.index + run[0].length]) : row.zero;
      const made = [];
      const add = (mark, ranges, keep = () => true) => {
        for (const [a, b] of ranges) for (let j = a; j < b; j += 1) if (keep(j)) made.push([j, mark]);
      };
      add("○", zero, (j) => this.isReal(row, j));
      for (const [mark, , ranges] of [...row.marks].sort((a, b) => (a[0] === "✗") - (b[0] === "✗"))) add(mark, ranges);
      this.found.set(row, made);
    }
    return this.found.get(row);
  }

  what(row, j) {
    const zero = this.isZero(row, j);
    const held = { repeat: "repeats the last output", constant: "constant", computed: "computed", nonfinite: "not finite" };
    if (!this.isReal(row, j)) return zero || !held[row.padding] ? "padding" : `padding, ${held[row.padding]}`;
    if (row.padding === "absent") return "not recorded";
    return zero ? (row.length === null ? "all zero: padding or real" : "real, all zero") : "real";
  }

  // The step in words; of a row's name (j < 0) the row's verdict.
  say(i, j) {
    const row = this.row(i);
    const number = this.listed[i];
    if (j < 0) return `row ${number}: ${row.words}${row.rules.length ? `\n${row.rules.join(", ")}` : ""}`;
    const related = row.marks.filter(([, , ranges]) => ranges.some(([a, b]) => a <= j && j < b)).map(([, words]) => words);
    const lines = [[`row ${number}, step ${j}: ${this.what(row, j)}`, ...related].join("; ")];
    const levels = this.track.levels;
    if (levels && levels.rows[number][j] !== "!") {
      const [level, most] = [parseInt(levels.rows[number][j], 16), levels.largest];
      if (level) lines.push(`largest |output| ${brief((most * (level - 1)) / SIZES)} to ${brief((most * level) / SIZES)}`);
    }
    const kept = this.track.excerpt[number];
    const at = kept && kept.outputs ? kept.steps.indexOf(j) : -1;
    if (at >= 0) {
      const some = kept.outputs[at].slice(0, SHOWN).map((value) => (value === null ? "not finite" : fixed(value, this.digits)));
      lines.push(`units ${kept.units.slice(0, SHOWN).join(", ")}: ${some.join(", ")}${kept.units.length > SHOWN ? ", …" : ""}`);
    }
    return lines.join("\n");
  }
}

// The colour of a level: one hexadecimal digit, or ! where the step is not finite.
const sized = (level) => (level === "!" ? palette.bad : palette.sizes[parseInt(level, 16)] || palette.mid);

const brief = (value) => String(Number(value.toPrecision(3)));
