// One row: its kept steps across, then h and c, units down.

class Units {
  constructor(kept, row, steps, digits) {
    Object.assign(this, { kept, row, stepsOf: steps, digits, cell: [64, 20] });
    this.names = [...new Set([...kept.units, ...this.cellUnits()])].sort((a, b) => a - b);
    this.rows = this.names.length;
    const states = [["h", kept.final], ["c", kept.cell]].filter(([, values]) => values);
    this.across = kept.outputs ? kept.steps.map((step, at) => ({ step, at })) : [];
    for (const [name] of states) this.across.push({}, { state: name });
    if (!kept.outputs) this.across.shift();
    this.columns = this.across.length;
    const size = (values) => values.reduce((most, value) => Math.max(most, Math.abs(value || 0)), 0);
    this.largest = Math.max(size((kept.outputs || []).flat()), size(kept.final || []));
    this.largestCell = size(kept.cell || []);
    this.lost = new Map((kept.nonfinite || []).map((place) => [place.split(" ").slice(0, -1).join(" "), place.split(" ").pop()]));
  }

  // The units of c: those of h where they are as many, else the first ones (a projection makes c wider).
  cellUnits() {
    const { cell, units } = this.kept;
    return !cell ? [] : cell.length === units.length ? units : cell.map((_, k) => k);
  }

  // Which of the row's steps are kept, in words.
  span(steps) {
    const kept = this.kept.outputs ? this.kept.steps.length : 0;
    return kept === steps ? "all steps" : `${kept} of ${steps} steps`;
  }

  rowName(i) { return `unit ${this.names[i]}`; }
  sign() { return ""; }
  hatched() { return this.padded || (this.padded = this.across.flatMap(({ step }, j) => (step !== undefined && !this.stepsOf.isReal(this.row, step) ? [[j, j + 1]] : []))); }
  unrecorded() { return []; }
  marks(i) { return this.across.flatMap((_, j) => (this.isLost(i, j) ? [[j, "!"]] : [])); }

  columnName(j) {
    const { step, state } = this.across[j];
    if (step === undefined) return state || "";
    const mark = this.row.marks.find(([, , ranges]) => ranges.some(([a, b]) => a <= step && step < b));
    return `${step}${mark ? ` ${mark[0]}` : ""}`;
  }

  // The number in a cell, null where it is not finite, undefined where there is none.
  value(i, j) {
    const { at, state } = this.across[j];
    const unit = this.kept.units.indexOf(this.names[i]);
    if (state === "c") return this.kept.cell[this.cellUnits().indexOf(this.names[i])];
    if (state === "h") return this.kept.final[unit];
    return at === undefined || unit < 0 ? undefined : this.kept.outputs[at][unit];
  }

  isLost(i, j) { return this.value(i, j) === null; }

  colour(i, j) {
    const value = this.value(i, j);
    const { step } = this.across[j];
    const blank = value === 0 && step !== undefined && !this.stepsOf.isReal(this.row, step);
    if (value === undefined || value === null || blank) return palette.paper;
    return signed(value, this.across[j].state === "c" ? this.largestCell : this.largest);
  }

  paint(i, j0, j1, put) {
    for (let j = j0; j < j1; j += 1) put(j, this.colour(i, j));
  }

  text(i, j) {
    const value = this.value(i, j);
    return [typeof value === "number" ? fixed(value, this.digits) : "", this.colour(i, j)];
  }

  say(i, j) {
    if (j < 0) return this.rowName(i);
    const { step, state } = this.across[j];
    const unit = this.names[i];
    const value = this.value(i, j);
    if (value === undefined) return state || step !== undefined ? `${this.rowName(i)}: none` : "";
    const place = state ? `${state === "h" ? "final" : "cell"} ${unit}` : `outputs ${step} ${unit}`;
    const name = state ? `final_state.${state}, unit ${unit}` : `step ${step}, unit ${unit}`;
    const shown = value === null ? this.lost.get(place) || "not finite" : String(value);
    const what = step === undefined ? "" : ` (${this.stepsOf.what(this.row, step)})`;
    return `${name}: ${shown}${what}`;
  }
}
