// A grid of cells on a canvas that is as large as the window through which it is seen, whatever the grid's own size.
//
// A model says what it shows: rows, columns (counts); rowName(i), columnName(j); sign(i), a mark before a row's name;
// paint(i, j0, j1, put), put(j, colour) for each cell; hatched(i), unrecorded(i), half-open ranges; marks(i), [j, mark] pairs;
// text(i, j), what a wide cell holds; say(i, j), the cell in words; cell, the widest and highest that cells begin with.

const TOP = 22;
const FONT = "12px system-ui, sans-serif";
const hint = document.getElementById("hint");
let maps = 0;

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

class HeatMap {
  constructor(model, name, open) {
    this.model = model;
    this.open = open;
    this.i = this.j = 0;
    this.canvas = element("canvas", { "aria-hidden": "true" });
    this.spacer = element("div", { role: "presentation" }, this.canvas);
    this.cell = element("div", { role: "gridcell", id: `cell-${(maps += 1)}` });
    this.line = element("div", { role: "row", class: "read" }, this.cell);
    this.host = element("div", { class: "map", role: "grid", tabindex: "0", "aria-label": name }, this.spacer, this.line);
    this.host.addEventListener("scroll", () => this.later());
    this.host.addEventListener("mousemove", (event) => this.hover(event));
    this.host.addEventListener("mouseleave", () => (hint.hidden = true));
    this.host.addEventListener("click", (event) => this.click(event));
    this.host.addEventListener("keydown", (event) => this.key(event));
    this.host.addEventListener("focus", () => this.move(0, 0, false));
    this.host.addEventListener("blur", () => { hint.hidden = true; this.later(); });
    new ResizeObserver(() => this.later()).observe(this.host);
  }

  // The cells' first size: as wide as there is room for, within what the model says.
  fit(whole = false) {
    const { rows, columns, cell } = this.model;
    this.ruler ||= document.createElement("canvas").getContext("2d");
    this.ruler.font = FONT;
    const names = [0, rows - 1].map((i) => (rows ? `${this.model.sign(i)} ${this.model.rowName(i)}` : ""));
    this.left = Math.max(...names.map((name) => this.ruler.measureText(name).width)) + 16;
    const frame = getComputedStyle(this.host.parentElement);
    const room = parseFloat(frame.width) - this.left - 18;
    const high = window.innerHeight * 0.7 - TOP - 18;
    this.w = Math.min(cell[0], Math.max(whole ? 0.25 : 4, room / Math.max(1, columns)));
    this.h = whole ? Math.min(cell[1], Math.max(0.25, high / Math.max(1, rows))) : rows > 60 ? Math.min(14, cell[1]) : cell[1];
    this.resize();
  }

  zoom(factor) {
    this.w = Math.min(160, Math.max(0.25, this.w * factor));
    this.h = Math.min(48, Math.max(0.25, this.h * factor));
    this.resize();
  }

  resize() {
    const { rows, columns } = this.model;
    this.i = Math.max(0, Math.min(this.i, rows - 1));
    this.spacer.style.width = `${this.left + columns * this.w}px`;
    this.spacer.style.height = `${TOP + rows * this.h}px`;
    this.host.setAttribute("aria-rowcount", rows);
    this.host.setAttribute("aria-colcount", columns);
    this.later();
  }

  later() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      this.draw();
    });
  }

  draw() {
    const { host, canvas, model, left, w, h } = this;
    const width = Math.min(host.clientWidth, Math.ceil(left + model.columns * w));
    const height = Math.min(host.clientHeight, Math.ceil(TOP + model.rows * h));
    const ratio = window.devicePixelRatio || 1;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    const ctx = canvas.getContext("2d");
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    ctx.fillStyle = css(palette.paper);
    ctx.fillRect(0, 0, width, height);
    const [sx, sy] = [host.scrollLeft, host.scrollTop];
    const seen = {
      i0: Math.floor(sy / h),
      i1: Math.min(model.rows, Math.ceil((sy + height - TOP) / h)),
      j0: Math.floor(sx / w),
      j1: Math.min(model.columns, Math.ceil((sx + width - left) / w)),
      x: (j) => left + j * w - sx,
      y: (i) => TOP + i * h - sy,
    };
    if (seen.i1 <= seen.i0 || seen.j1 <= seen.j0) return;
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, TOP, width - left, height - TOP);
    ctx.clip();
    this.drawCells(ctx, seen);
    this.drawMarks(ctx, seen);
    ctx.restore();
    this.drawNames(ctx, seen, width);
  }

  drawCells(ctx, { i0, i1, j0, j1, x, y }) {
    const { model, w, h } = this;
    const image = new ImageData(j1 - j0, i1 - i0);
    for (let i = i0; i < i1; i += 1) {
      const start = (i - i0) * (j1 - j0) - j0;
      model.paint(i, j0, j1, (j, colour) => {
        const at = (start + j) * 4;
        [image.data[at], image.data[at + 1], image.data[at + 2]] = colour;
        image.data[at + 3] = 255;
      });
    }
    const small = element("canvas", { width: j1 - j0, height: i1 - i0 });
    small.getContext("2d").putImageData(image, 0, 0);
    ctx.imageSmoothingEnabled = w < 1 || h < 1;
    ctx.drawImage(small, x(j0), y(i0), (j1 - j0) * w, (i1 - i0) * h);
    ctx.fillStyle = hatching(ctx);
    for (let i = i0; i < i1; i += 1) {
      for (const [a, b] of model.hatched(i)) ctx.fillRect(x(a), y(i), (b - a) * w, h);
    }
    ctx.fillStyle = hatching(ctx, true);
    for (let i = i0; i < i1; i += 1) {
      for (const [a, b] of model.unrecorded(i)) ctx.fillRect(x(a), y(i), (b - a) * w, h);
    }
    if (w < 8 || h < 8) return;
    ctx.fillStyle = css(palette.paper);
    for (let i = i0; i <= i1; i += 1) ctx.fillRect(x(j0), y(i) - 0.5, (j1 - j0) * w, 1);
    for (let j = j0; j <= j1; j += 1) ctx.fillRect(x(j) - 0.5, y(i0), 1, (i1 - i0) * h);
  }

  drawMarks(ctx, { i0, i1, j0, j1, x, y }) {
    const { model, w, h } = this;
    for (let i = i0; i < i1; i += 1) {
      for (const [j, mark] of model.marks(i)) {
        if (j >= j0 - 2 && j < j1 + 2) drawMark(ctx, mark, x(j), y(i), w, h);
      }
      for (let j = j0; w >= 50 && j < j1; j += 1) {
        const [text, colour] = model.text(i, j);
        if (!text) continue;
        ctx.font = FONT;
        ctx.textAlign = "center";
        ctx.textBaseline = "middle";
        ctx.lineWidth = 4;
        ctx.strokeStyle = css(colour);
        ctx.strokeText(text, x(j) + w / 2, y(i) + h / 2);
        ctx.fillStyle = inkOn(colour);
        ctx.fillText(text, x(j) + w / 2, y(i) + h / 2);
      }
    }
    if (document.activeElement === this.host && this.i >= i0 && this.i < i1) {
      const size = [Math.max(w, 8), Math.max(h, 8)];
      ring(ctx, () => ctx.rect(x(this.j) - (size[0] - w) / 2, y(this.i) - (size[1] - h) / 2, ...size), palette.ink, 2, 5);
    }
  }

  drawNames(ctx, { i0, i1, j0, j1, x, y }, width) {
    const { model, left, w, h } = this;
    ctx.font = FONT;
    ctx.textBaseline = "middle";
    ctx.textAlign = "right";
    const every = Math.ceil(13 / h);
    for (let i = i0; i < i1; i += 1) {
      const sign = model.sign(i);
      const bad = sign === "✗";
      if (bad && h < 13) {
        ctx.fillStyle = css(palette.bad);
        ctx.fillRect(left - 5, Math.max(TOP, y(i)), 4, Math.max(h, 1.5));
      }
      if (i % every || y(i) + h / 2 < TOP) continue;
      ctx.fillStyle = css(bad && every === 1 ? palette.bad : palette.ink);
      ctx.fillText(every === 1 ? `${sign} ${model.rowName(i)}` : model.rowName(i), left - 7, y(i) + h / 2);
    }
    ctx.textAlign = "center";
    const widest = Math.max(ctx.measureText(model.columnName(j1 - 1)).width, ctx.measureText(model.columnName(j0)).width);
    const step = [1, 2, 5].flatMap((n) => [n, n * 10, n * 100, n * 1000]).sort((a, b) => a - b).find((n) => n * w > widest + 8) || 1e5;
    for (let j = j0; j < j1; j += 1) {
      const at = x(j) + w / 2;
      if (j % step || at < left || at > width) continue;
      ctx.fillStyle = css(palette.quiet);
      ctx.fillText(model.columnName(j), at, TOP / 2);
    }
  }

  // The cell under the mouse, or null.
  under(event) {
    const box = this.canvas.getBoundingClientRect();
    const j = Math.floor((event.clientX - box.left - this.left + this.host.scrollLeft) / this.w);
    const i = Math.floor((event.clientY - box.top - TOP + this.host.scrollTop) / this.h);
    const inside = event.clientX >= box.left && event.clientY - box.top >= TOP && i >= 0 && i < this.model.rows;
    return inside && j < this.model.columns ? [i, Math.max(0, j), j < 0] : null;
  }

  hover(event) {
    const at = this.under(event);
    hint.hidden = !at;
    if (at) this.show(at[2] ? this.model.say(at[0], -1) : this.model.say(at[0], at[1]), event.clientX + 14, event.clientY + 16);
  }

  click(event) {
    const at = this.under(event);
    if (!at) return;
    [this.i, this.j] = at;
    this.move(0, 0, false);
    if (this.open) this.open(this.i);
  }

  key(event) {
    const { rows, columns } = this.model;
    const page = Math.max(1, Math.floor(this.host.clientHeight / this.h) - 2);
    const moves = {
      ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0], PageUp: [-page, 0], PageDown: [page, 0],
      Home: [event.ctrlKey ? -rows : 0, -columns], End: [event.ctrlKey ? rows : 0, columns],
    };
    if (moves[event.key]) this.move(...moves[event.key]);
    else if ((event.key === "Enter" || event.key === " ") && this.open) this.open(this.i);
    else if (event.key === "Escape") hint.hidden = true;
    else return;
    event.preventDefault();
  }

  // Moves the cursor, brings it into view, and says where it is.
  move(down, right, aloud = true) {
    const { rows, columns } = this.model;
    if (!rows || !columns) return;
    this.i = Math.max(0, Math.min(rows - 1, this.i + down));
    this.j = Math.max(0, Math.min(columns - 1, this.j + right));
    const { host, left, w, h } = this;
    const reach = (at, size, from, span) => Math.min(at, Math.max(from, at + size - span));
    host.scrollLeft = reach(this.j * w, w, host.scrollLeft, host.clientWidth - left);
    host.scrollTop = reach(this.i * h, h, host.scrollTop, host.clientHeight - TOP);
    this.line.setAttribute("aria-rowindex", this.i + 1);
    this.cell.setAttribute("aria-colindex", this.j + 1);
    this.cell.textContent = this.model.say(this.i, this.j);
    host.setAttribute("aria-activedescendant", this.cell.id);
    if (aloud) {
      const box = host.getBoundingClientRect();
      const x = box.left + left + (this.j + 1) * w - host.scrollLeft + 10;
      this.show(this.cell.textContent, x, box.top + TOP + (this.i + 1) * h - host.scrollTop + 8);
    }
    this.later();
  }

  show(text, x, y) {
    hint.textContent = text;
    hint.hidden = false;
    hint.style.left = `${Math.max(4, Math.min(x, window.innerWidth - hint.offsetWidth - 12))}px`;
    hint.style.top = `${Math.max(4, Math.min(y, window.innerHeight - hint.offsetHeight - 12))}px`;
  }
}
