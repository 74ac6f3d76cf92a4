"use strict";

// Colours of the theme, read from the style sheet; scales whose lightness rises or falls all the way, so that they
// can be read in grey.

const SIZES = 15; // steps of the scale of sizes: a level is one hexadecimal digit
const SIGNED = [[0, 34, 78], [65, 77, 107], [124, 123, 120], [188, 175, 111], [254, 232, 56]]; // cividis

let palette = null;

function readPalette() {
  const probe = document.createElement("span");
  document.body.append(probe);
  const read = (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color.match(/[\d.]+/g).slice(0, 3).map(Number);
  };
  const names = ["paper", "panel", "ink", "quiet", "line", "good", "bad", "low", "mid", "high", "hatch"];
  palette = Object.fromEntries(names.map((name) => [name, read(name)]));
  probe.remove();
  const anchors = [palette.low, palette.mid, palette.high];
  palette.sizes = Array.from({ length: SIZES + 1 }, (_, k) => (k ? blend(anchors, (k - 1) / (SIZES - 1)) : palette.paper));
  palette.pattern = palette.falling = null;
}

// The colour at `share` (0 to 1) of evenly spaced anchors.
function blend(anchors, share) {
  const place = Math.min(Math.max(share, 0), 1) * (anchors.length - 1);
  const k = Math.min(Math.floor(place), anchors.length - 2);
  return anchors[k].map((from, c) => Math.round(from + (anchors[k + 1][c] - from) * (place - k)));
}

const css = (colour) => `rgb(${colour.join(" ")})`;

// The colour of a number between -most and most.
const signed = (value, most) => blend(SIGNED, most ? (value / most + 1) / 2 : 0.5);

// Ink that can be read on a colour.
const inkOn = (colour) => (0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 140 ? "#10151a" : "#ffffff");

// A number in `digits` behind the point; with its power of ten where that would show it as zero or be too long.
function fixed(value, digits) {
  const plain = value.toFixed(digits);
  if (value !== 0 && Number(plain) === 0) return value.toExponential(0);
  return Math.abs(value) >= 1e6 ? value.toExponential(Math.min(digits, 2)) : plain;
}

// Lines for padding: a dark one beside one in the colour of the paper, so that they are seen on any cell. `falling`:
// the other way, and wider apart, for outputs that were not recorded.
function hatching(ctx, falling = false) {
  const name = falling ? "falling" : "pattern";
  if (!palette[name]) {
    const size = falling ? 9 : 6;
    const tile = document.createElement("canvas");
    tile.width = tile.height = size;
    const pen = tile.getContext("2d");
    if (falling) {
      pen.translate(size, 0);
      pen.scale(-1, 1);
    }
    for (const [colour, aside] of [[palette.paper, 1], [palette.hatch, 0]]) {
      pen.beginPath();
      pen.strokeStyle = css(colour);
      for (const shift of [-size, 0, size]) {
        pen.moveTo(shift - 1 + aside, size + 1);
        pen.lineTo(shift + size + 1 + aside, -1);
      }
      pen.stroke();
    }
    palette[name] = ctx.createPattern(tile, "repeat");
  }
  return palette[name];
}

// One step's mark; each has a shape of its own, and a circle is a zero step alone. Never smaller than can be seen.
function drawMark(ctx, mark, x, y, w, h) {
  const cx = x + w / 2;
  const cy = y + h / 2;
  const large = Math.min(w, h) >= 11;
  if (mark === "○") {
    ring(ctx, () => ctx.arc(cx, cy, Math.max(1.5, Math.min(4, w / 4, h / 4)), 0, 7), palette.ink, 1.3, 0);
    return;
  }
  if (mark === "!") {
    letter(ctx, "!", cx, cy, palette.bad);
    return;
  }
  const wrong = mark === "✗";
  if (mark === "=" && Math.min(w, h) < 3) {
    ctx.fillStyle = css(palette.ink);
    ctx.fillRect(cx - 1, cy - 1, 2, 2);
    return;
  }
  const around = Math.max(3, Math.min(5, w / 2 + 1));
  const outline = large ? () => ctx.rect(x + 2, y + 2, w - 4, h - 4) : () => ctx.rect(cx - around, cy - around, 2 * around, 2 * around);
  ctx.setLineDash({ "→": [4, 2.5], "≈": [1.5, 2.5], "?": [1.5, 2.5] }[mark] || []);
  ring(ctx, outline, wrong || mark === "→" ? palette.bad : mark === "?" ? palette.quiet : palette.ink, 2, 4.5);
  ctx.setLineDash([]);
  if (wrong) {
    const r = large ? Math.min(w, h) / 2 - 5 : around - 1.5;
    const cross = () => {
      ctx.moveTo(cx - r, cy - r);
      ctx.lineTo(cx + r, cy + r);
      ctx.moveTo(cx + r, cy - r);
      ctx.lineTo(cx - r, cy + r);
    };
    ring(ctx, cross, palette.bad, 1.8, 4);
  } else if (large && mark !== "=") {
    letter(ctx, mark, cx, cy, mark === "→" ? palette.bad : palette.ink);
  }
}

function ring(ctx, path, colour, width, halo) {
  for (const [stroke, size] of [[palette.paper, halo], [colour, width]]) {
    if (!size) continue;
    ctx.beginPath();
    path();
    ctx.strokeStyle = css(stroke);
    ctx.lineWidth = size;
    ctx.stroke();
  }
}

function letter(ctx, text, cx, cy, colour) {
  ctx.font = "bold 12px system-ui, sans-serif";
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  ctx.lineWidth = 3;
  ctx.strokeStyle = css(palette.paper);
  ctx.strokeText(text, cx, cy);
  ctx.fillStyle = css(colour);
  ctx.fillText(text, cx, cy);
}
